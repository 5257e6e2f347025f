"""Pixels between the image's size and the model's: mask -> **condition** -> diffuse -> **blend**.

An image is resized with its aspect kept until its long side is the model's native size, then padded at the bottom
and the right by repeating its last row or column: black bars would be context that the model paints towards. Padding
starts at the far corner only, so cell (0, 0) of the latent grid is the image's own first corner.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import PIL.Image

from composition.images import Box, Image, Mask, Pose

CONTEXT = 2.0
"""A crop's long side is at least this many times the mask's."""
MIN_CROP_SHARE = 0.25
"""A crop's long side is at least this share of the image's: what the thing is must stay recognisable."""
MAX_CROP_SHARE = 0.75
"""A crop longer than this share of the image is not worth its lost context."""
MIN_NATIVE_SHARE = 0.75
"""A crop is never diffused at less than this share of the native size: models fall apart far below it."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How one image lies in the model's canvas. All sizes are (height, width) in pixels.

    An image of another size than the one that a method maps from is a ValueError.

    Attributes:
        size: the image's own size.
        content_size: the resized image, at the canvas's upper left corner.
        model_size: the canvas; what lies beyond `content_size` is padding.
    """

    size: tuple[int, int]
    content_size: tuple[int, int]
    model_size: tuple[int, int]

    @property
    def scale(self) -> float:
        """Model pixels per image pixel, along the long side."""
        return max(self.content_size) / max(self.size)

    def to_model(self, image: Image) -> Image:
        """The image (H, W, 3) on the canvas (h, w, 3): antialiased Lanczos, padded by edge replication."""
        self._expect(image, self.size)
        return self._pad(_resize(image, self.content_size, PIL.Image.Resampling.LANCZOS))

    def map_to_model(self, image: Image) -> Image:
        """A control image (H, W, 3) or map (H, W) on the canvas; bilinear, as Lanczos would ring around drawn lines."""
        self._expect(image, self.size)
        return self._pad(_resize(image, self.content_size, PIL.Image.Resampling.BILINEAR))

    def mask_to_model(self, mask: Mask) -> Mask:
        """The mask (H, W) on the canvas (h, w), 0 or 255: every pixel that a masked one reaches into; padding is 0."""
        self._expect(mask, self.size)
        rows = _any_in_cells(mask > 0, self.content_size[0])
        covered = _any_in_cells(rows.T, self.content_size[1]).T
        canvas = np.zeros(self.model_size, np.uint8)
        canvas[: self.content_size[0], : self.content_size[1]] = np.where(covered, 255, 0)
        return canvas

    def pose_to_model(self, pose: Pose) -> Pose:
        """The same keypoints in pixels of the canvas, so that a skeleton can be drawn at the model's line width."""
        factors = np.array(
            [self.content_size[1] / self.size[1], self.content_size[0] / self.size[0], 1.0], dtype=np.float32
        )
        return _map_points(pose, lambda points: points * factors)

    def from_model(self, image: Image) -> Image:
        """The model's image (h, w, 3) without its padding, by Lanczos at the image's own size (H, W, 3)."""
        self._expect(image, self.model_size)
        content = image[: self.content_size[0], : self.content_size[1]]
        return _resize(content, self.size, PIL.Image.Resampling.LANCZOS)

    def _pad(self, content: Image) -> Image:
        below, right = (model - inner for model, inner in zip(self.model_size, self.content_size, strict=True))
        return np.pad(content, ((0, below), (0, right), *((0, 0),) * (content.ndim - 2)), mode="edge")

    @staticmethod
    def _expect(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> None:
        if image.shape[:2] != size:
            raise ValueError(f"expected {size} (height, width), got {image.shape[:2]}")


def fit(size_hw: tuple[int, int], *, native_size: int, multiple: int = 64) -> Fit:
    """Plan how an image of `size_hw` (height, width) is given to the model, whose long side is `native_size` pixels.

    A smaller image is enlarged; both sides of the canvas are multiples of `multiple`.
    Raises: ValueError for a size below one pixel.
    """
    if min(*size_hw, native_size, multiple) < 1:
        raise ValueError(f"sizes must be at least one pixel: {size_hw}, {native_size}, {multiple}")
    long_side = max(size_hw)
    height, width = (max(1, (2 * side * native_size + long_side) // (2 * long_side)) for side in size_hw)
    model = (_round_up(height, multiple), _round_up(width, multiple))
    return Fit(size=size_hw, content_size=(height, width), model_size=model)


def alike(fits: Sequence[Fit], *, multiple: int = 64) -> list[Fit]:
    """Those of several images on canvases of one size, each as large as the largest of them shows its own."""
    native_size = max(max(one.content_size) for one in fits)
    again = [fit(one.size, native_size=native_size, multiple=multiple) for one in fits]
    height, width = (max(one.model_size[axis] for one in again) for axis in (0, 1))
    return [replace(one, model_size=(height, width)) for one in again]


def crop_box(mask: Mask, *, native_size: int, size: tuple[int, int], context: float = CONTEXT) -> Box | None:
    """The neighbourhood to diffuse instead of the whole image, or None when the mask is not small against it.

    Args:
        mask: (H, W), everything that may change (> 0), feathering included.
        native_size: the model's native size, in pixels.
        size: the image's (height, width).
        context: how many times as long as the mask the box is, at least.

    Returns:
        A box with whole-number sides inside the image that holds the mask and its context: at least `context`
        times as long as the mask, half the native size and `MIN_CROP_SHARE` of the image. Near a border it is
        moved inside, not cut. None for an empty mask too.

    Raises:
        ValueError: for a mask of another size than `size`.
    """
    if mask.shape != size:
        raise ValueError(f"the mask is {mask.shape}, the image {size}")
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    left, right = int(columns[0]), int(columns[-1]) + 1
    extent = max(bottom - top, right - left)
    wanted = max(context * extent, native_size / 2, MIN_CROP_SHARE * max(size))
    margin = math.ceil((wanted - extent) / 2)
    y0, y1 = _span(top - margin, bottom + margin, size[0])
    x0, x1 = _span(left - margin, right + margin, size[1])
    if max(y1 - y0, x1 - x0) > MAX_CROP_SHARE * max(size):
        return None
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def crop_native_size(box: Box, *, size: tuple[int, int], native_size: int, multiple: int = 64) -> int:
    """The long side, in model pixels, at which a crop loses nothing against the whole image, with the least work.

    The crop keeps every pixel that the image has, and at least the resolution that the whole image would have had
    at model scale; beyond that more model pixels only cost time. Never below `MIN_NATIVE_SHARE` of `native_size`.
    """
    detail = max(box.x1 - box.x0, box.y1 - box.y0) * max(1.0, native_size / max(size))
    floor = MIN_NATIVE_SHARE * native_size
    return min(native_size, _round_up(math.ceil(max(detail, floor)), multiple))


def crop(image: npt.NDArray[np.uint8], box: Box) -> npt.NDArray[np.uint8]:
    """The part of an image (H, W, 3) or mask (H, W) inside a whole-number box, as an array of its own."""
    x0, y0, x1, y1 = _whole(box)
    return image[y0:y1, x0:x1].copy()


def paste(image: npt.NDArray[np.uint8], patch: npt.NDArray[np.uint8], box: Box) -> npt.NDArray[np.uint8]:
    """`crop`'s inverse: a copy of `image` with `patch` in the box. Raises: ValueError for a patch of another size."""
    x0, y0, x1, y1 = _whole(box)
    if patch.shape[:2] != (y1 - y0, x1 - x0):
        raise ValueError(f"the patch is {patch.shape[:2]}, the box {(y1 - y0, x1 - x0)}")
    pasted = image.copy()
    pasted[y0:y1, x0:x1] = patch
    return pasted


def crop_pose(pose: Pose, box: Box) -> Pose:
    """The same keypoints in pixels of the crop; those outside it keep coordinates outside it."""
    x0, y0, _, _ = _whole(box)
    shift = np.array([x0, y0, 0.0], dtype=np.float32)
    return _map_points(pose, lambda points: points - shift)


def _map_points(pose: Pose, change: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]) -> Pose:
    return replace(
        pose,
        body=change(pose.body),
        feet=change(pose.feet),
        face=change(pose.face),
        left_hand=change(pose.left_hand),
        right_hand=change(pose.right_hand),
    )


def _whole(box: Box) -> tuple[int, int, int, int]:
    return round(box.x0), round(box.y0), round(box.x1), round(box.y1)


def _span(start: int, stop: int, limit: int) -> tuple[int, int]:
    """`start..stop` moved, and only if it must be cut, into 0..limit."""
    length = min(stop - start, limit)
    start = min(max(start, 0), limit - length)
    return start, start + length


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _resize(
    image: npt.NDArray[np.uint8], size: tuple[int, int], resampling: PIL.Image.Resampling
) -> npt.NDArray[np.uint8]:
    if image.shape[:2] == size:
        return image.copy()
    return np.array(PIL.Image.fromarray(image).resize((size[1], size[0]), resampling), dtype=np.uint8)


def _any_in_cells(rows: npt.NDArray[np.bool_], count: int) -> npt.NDArray[np.bool_]:
    """Cut the first axis into `count` equal cells, in exact integers: which cells does a true row reach into."""
    length = rows.shape[0]
    cells = np.arange(count + 1, dtype=np.int64) * length
    first, last = cells[:-1] // count, -(-cells[1:] // count)
    totals = np.zeros((length + 1, rows.shape[1]), np.int32)
    np.cumsum(rows, axis=0, dtype=np.int32, out=totals[1:])
    reached: npt.NDArray[np.bool_] = totals[last] > totals[first]
    return reached
