"""What every server is asked to paint, and what must not change."""

from __future__ import annotations

import base64
import dataclasses
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image as PilImage

from benchmarks.bench_requests import image
from composition.images import Image, Mask

GUIDANCE = 7.5
NEGATIVE_PROMPT = "blurry"
FAR_PX = 32
"""So far from the mask nobody's feathering reaches."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Edit:
    """`photo` (H, W, 3) and `mask` (H, W, 0 or 255) of the model's own size, so that nobody has to scale."""

    photo: Image
    mask: Mask
    prompt: str
    steps: int
    seed: int

    def again(self, *, seed: int) -> Edit:
        """The same photo once more, painted from another noise."""
        return dataclasses.replace(self, seed=seed)


def make_edit(number: int, *, side_px: int, steps: int) -> Edit:
    """An edit of a square's middle; another number is another photo."""
    mask = np.zeros((side_px, side_px), dtype=np.uint8)
    mask[side_px // 4 : 3 * side_px // 4, side_px // 4 : 3 * side_px // 4] = 255
    return Edit(photo=image(number, side_px), mask=mask, prompt="a red car", steps=steps, seed=number)


def changed_outside(edit: Edit, painted: Image) -> tuple[float, float]:
    """Shares of the pixels outside the mask, and of those `FAR_PX` from it, that differ from the photo's; 0..1.

    Raises:
        ValueError: the image has another size than the photo.
    """
    if painted.shape != edit.photo.shape:
        raise ValueError(f"an image of {painted.shape[:2]} for a photo of {edit.photo.shape[:2]}")
    differs = (painted != edit.photo).any(axis=2)
    rows, columns = np.nonzero(edit.mask)
    far = np.ones(edit.mask.shape, dtype=bool)
    top, left = max(0, rows.min() - FAR_PX), max(0, columns.min() - FAR_PX)
    far[top : rows.max() + 1 + FAR_PX, left : columns.max() + 1 + FAR_PX] = False
    outside = edit.mask == 0
    return float(differs[outside].mean()), float(differs[far].mean()) if far.any() else 0.0


def to_png(pixels: Image | Mask) -> bytes:
    buffer = io.BytesIO()
    PilImage.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
    return buffer.getvalue()


def to_base64(pixels: Image | Mask) -> str:
    return base64.b64encode(to_png(pixels)).decode()


def from_file(data: bytes) -> Image:
    """An image file's pixels (H, W, 3)."""
    return np.asarray(PilImage.open(io.BytesIO(data)).convert("RGB"))
