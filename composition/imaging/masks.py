"""What is repainted: detect -> **mask** -> condition.

A box or silhouette becomes a binary mask, is grown for context and gets a soft rim. Two masks leave here: the binary
one, aligned to the latent grid, for the model, and the feathered one (alpha) for the blend. The rim lies wholly
outside the thing: a mask that was grown around it has room for the rim, and the thing itself is repainted fully,
however thin it is. A user's own mask is a promise: its rim lies inside of it, unless it is asked for around it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from composition.errors import EmptyMask
from composition.images import Box, Mask

REFERENCE_SIZE_PX = 512
"""Dilation and blur are given in pixels of an image with this long side."""
SPECK_SHARE = 0.1
"""A piece of an outline, or a hole in it, that is smaller than this share of the largest piece is a mistake."""
FIRMNESS = 4
"""Factor on a rim's weights."""
HALF = 128
"""A user's grey mask is repainted from this value on."""


def scale_px(px: float, size_hw: tuple[int, int]) -> float:
    """Pixels of a 512-pixel image in pixels of an image of `size_hw` (height, width), by its long side."""
    return px * max(size_hw) / REFERENCE_SIZE_PX


def binarize(mask: Mask) -> Mask:
    """0 or 255 per pixel (H, W): 255 from 128 on, so that compression noise in a user's mask does not count."""
    return _as_mask(mask >= HALF)


def clip_box(box: Box, size: tuple[int, int]) -> Box | None:
    """The part of a box inside an image of `size` (height, width); None when nothing is left or it is not a box.

    A box with NaN or an infinite side, an inverted one and one without area are not boxes.
    """
    if not all(math.isfinite(side) for side in (box.x0, box.y0, box.x1, box.y1)):
        return None
    clipped = Box(
        x0=max(0.0, box.x0), y0=max(0.0, box.y0), x1=min(float(size[1]), box.x1), y1=min(float(size[0]), box.y1)
    )
    return clipped if clipped.area > 0.0 else None


def boxes_to_mask(boxes: Iterable[Box], size: tuple[int, int]) -> Mask:
    """255 on every pixel that a box reaches into, as a mask of `size` (height, width); bad boxes add nothing."""
    mask = np.zeros(size, np.uint8)
    for box in boxes:
        inside = clip_box(box, size)
        if inside is not None:
            mask[math.floor(inside.y0) : math.ceil(inside.y1), math.floor(inside.x0) : math.ceil(inside.x1)] = 255
    return mask


def union(masks: Sequence[Mask]) -> Mask:
    """Pixel by pixel the largest value of masks of one size. Raises: ValueError for no masks at all."""
    largest: Mask = np.stack(masks).max(axis=0)
    return largest


def stacked(alphas: Sequence[Mask]) -> Mask:
    """The weight of all of several layers together, one over the other: what of the ground is covered by any."""
    through = complement(alphas[0]).astype(np.float32)
    for alpha in alphas[1:]:
        through *= complement(alpha).astype(np.float32) / 255.0
    return complement(np.rint(through).astype(np.uint8))


def weakened(alpha: Mask, share: float) -> Mask:
    """A share (0..1) of an alpha's weights."""
    return alpha if share == 1.0 else np.rint(alpha * np.float32(share)).astype(np.uint8)


def solid(outline: Mask) -> Mask:
    """An outline (0/255) without the islands and the holes that a segmenter leaves by mistake.

    What is smaller than `SPECK_SHARE` of the largest piece goes: pieces of the outline, and holes in it.
    """
    kept, least = large_pieces(outline > 0, SPECK_SHARE)
    labels, areas = _pieces(np.logical_not(kept), connectivity=4)
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    holes = np.setdiff1d(1 + np.flatnonzero(areas < least), edge)
    return _as_mask(kept | np.isin(labels, holes))


def large_pieces(masked: npt.NDArray[np.bool_], share: float) -> tuple[npt.NDArray[np.bool_], float]:
    """The connected pieces (H, W) with at least a share of the largest one's area, and that area, in pixels."""
    labels, areas = _pieces(masked, connectivity=8)
    least = share * areas.max(initial=0)
    return np.isin(labels, 1 + np.flatnonzero(areas >= least)), float(least)


def firmed(alpha: Mask) -> Mask:
    """An alpha (H, W) with a third of its soft rim: for what has the photograph's own edges already."""
    return np.minimum(alpha.astype(np.uint16) * FIRMNESS, 255).astype(np.uint8)


def complement(mask: Mask) -> Mask:
    """What the mask leaves out: 255 - mask."""
    return np.subtract(np.uint8(255), mask)


def dilate(mask: Mask, px: float) -> Mask:
    """Every pixel whose centre is at most `px` from the centre of a masked one (> 0): 0 or 255, growth is round.

    By the exact Euclidean distance transform (Felzenszwalb and Huttenlocher 2012), in linear time for any `px`.
    """
    grown = np.zeros(mask.shape, np.uint8)
    around = window(mask, px)
    if around is not None:
        grown[around] = _as_mask(_distance_to(mask[around] > 0) <= px + 1e-3)
    return grown


def feather(mask: Mask, px: float) -> Mask:
    """Give a binary mask its soft rim, outwards, by a Gaussian blur.

    A kernel of `px` pixels has the radius px // 2. The mask is grown by half that radius and blurred by a round
    Gaussian kernel of the other half (sigma as OpenCV derives it from a kernel's size). So the alpha is 255 on the
    whole mask, and 0 on every pixel farther from it than the radius, both exactly.

    Args:
        mask: (H, W); > 0 is repainted.
        px: the kernel in pixels of this image; an even one counts as the next odd one. Below 5 nothing is blurred,
            as no pixel lies half-way.

    Returns:
        The alpha (H, W), 0..255.
    """
    half_radius = math.floor(px / 2) / 2
    around = window(mask, 2 * half_radius)
    if half_radius < 1 or around is None:
        return _as_mask(mask > 0)
    grown = dilate(mask[around], half_radius).astype(np.float32)
    # A replicated border keeps a mask that runs out of the image opaque up to the last pixel.
    soft = cv2.filter2D(grown, cv2.CV_32F, _round_gaussian(half_radius), borderType=cv2.BORDER_REPLICATE)
    alpha = np.zeros(mask.shape, np.uint8)
    alpha[around] = np.clip(np.rint(soft), 0, 255).astype(np.uint8)
    return alpha


def feather_inwards(mask: Mask, px: float) -> Mask:
    """Give a binary mask its soft rim, inside of it: no pixel outside becomes part of it.

    The rim is px // 2 wide, the radius of `feather`. Where the mask is thinner than two rims, they are narrower: its
    middle is 255 however thin it is. A border of the image is no rim.

    Args:
        mask: (H, W); > 0 is repainted.
        px: the kernel in pixels of this image, as `feather` has it. Below 5 nothing is softened.

    Returns:
        The alpha (H, W), 0..255.
    """
    rim_px = math.floor(px / 2)
    around = window(mask, 2 * rim_px)
    if rim_px < 2 or around is None:
        return _as_mask(mask > 0)
    inside = mask[around] > 0
    padded = np.pad(np.logical_not(inside), 1)  # what lies beyond the image is no outside
    if not padded.any():
        return _as_mask(mask > 0)
    depth = np.minimum(_distance_to(padded)[1:-1, 1:-1], rim_px)
    reach = np.arange(-rim_px, rim_px + 1)
    disc = (np.square(reach)[:, None] + np.square(reach) <= rim_px**2).astype(np.uint8)
    share = depth / np.maximum(cv2.dilate(depth, disc), 1.0)
    alpha = np.zeros(mask.shape, np.uint8)
    alpha[around] = np.rint(255.0 * share * share * (3.0 - 2.0 * share)).astype(np.uint8)
    return np.where(mask > 0, np.maximum(alpha, np.uint8(1)), np.uint8(0))


def spare(alpha: Mask, protected: Mask, px: float) -> Mask:
    """Take what must not change out of an alpha: 0 on every protected pixel (> 0), with a soft rim around.

    The rim's kernel is of `px` pixels, as `feather` has it.
    """
    return np.minimum(alpha, complement(feather(protected, px)))


def align_to_latent_grid(mask: Mask, cell_px: int) -> Mask:
    """Every cell of `cell_px` x `cell_px` pixels that holds a masked pixel (> 0) becomes 255 as a whole, the others 0.

    Diffusers samples the mask by nearest neighbour at latent size, one pixel per cell: after this, no masked pixel
    is lost and no two ways of sampling differ. Cells start at the upper left; a last one may be cut by the border.
    """
    height, width = mask.shape
    padded = np.pad(mask > 0, ((0, -height % cell_px), (0, -width % cell_px)))
    rows, columns = (side // cell_px for side in padded.shape)
    cells = padded.reshape(rows, cell_px, columns, cell_px).any(axis=(1, 3))
    return _as_mask(cells.repeat(cell_px, axis=0).repeat(cell_px, axis=1)[:height, :width])


def window(mask: Mask, reach_px: float) -> tuple[slice, slice] | None:
    """Rows and columns that hold every masked pixel (> 0) and `reach_px` around; None for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    reach = math.ceil(reach_px) + 1
    return (
        slice(max(0, int(rows[0]) - reach), int(rows[-1]) + 1 + reach),
        slice(max(0, int(columns[0]) - reach), int(columns[-1]) + 1 + reach),
    )


def ensure_not_empty(mask: Mask) -> Mask:
    """The mask itself. Raises: EmptyMask when no pixel is masked."""
    if not mask.any():
        raise EmptyMask("the mask is empty: there is nothing to repaint")
    return mask


def area_fraction(mask: Mask) -> float:
    """Which part of the image may change (> 0), 0..1."""
    return float(np.count_nonzero(mask) / mask.size)


def _as_mask(condition: npt.NDArray[np.bool_]) -> Mask:
    return np.multiply(condition, np.uint8(255), dtype=np.uint8)


def _pieces(masked: npt.NDArray[np.bool_], connectivity: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The number (H, W) of the connected piece that each pixel is of, 0 for none, and the areas from 1 on."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(masked.astype(np.uint8), connectivity=connectivity)
    return np.asarray(labels, dtype=np.int32), np.asarray(stats[1:, cv2.CC_STAT_AREA], dtype=np.int32)


def _distance_to(masked: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    outside = np.logical_not(masked).astype(np.uint8)
    distance: npt.NDArray[np.float32] = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance


def _round_gaussian(radius_px: float) -> npt.NDArray[np.float32]:
    """A normalised Gaussian (k, k) that is 0 beyond the radius: the same softness in every direction."""
    offsets = np.arange(-math.floor(radius_px), math.floor(radius_px) + 1)
    squares = np.square(offsets)[:, None] + np.square(offsets)[None, :]
    sigma = 0.3 * (radius_px - 1) + 0.8
    weights = np.where(squares <= radius_px**2, np.exp(-squares / (2 * sigma**2)), 0.0)
    normalised: npt.NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
    return normalised
