"""What moved from one frame of a clip to the next, and things carried along.

Dense inverse search (DIS, arXiv 1603.03590) as OpenCV has it, both ways: where the two do not agree, something was
hidden or came into view, or the flow is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from composition.images import Image, Mask
from composition.imaging.masks import solid

Floats = npt.NDArray[np.float32]

STRAY_PX, STRAY_SHARE = 1.0, 0.05
"""There and back may differ by so many pixels, and by this share of the way."""
SAME_LUMA = 24.0
"""A pixel that is farther from where it came from, of 255, after the light of the whole is taken out, was not there."""
UNCOVERED = 0.5
"""What is less sure at the rim of a carried mask has come into view."""
CUT_SURE, CUT_LUMA = 0.6, 10.0
"""Where less is sure, and what was carried differs by more luma on average, the camera shows something else."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Flow:
    """From a frame back to the one before it.

    Attributes:
        at: float32 (H, W, 2), where each pixel (x, y) was.
        sure: float32 (H, W), 0..1, how far that can be relied on.
        cut: the two do not show the same.
    """

    at: Floats
    sure: Floats
    cut: bool


def flow_between(before: Image, now: Image) -> Flow:
    """What has moved, of two frames (H, W, 3) of one size."""
    old, new = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, now))
    back, forth = _dis(new, old), _dis(old, new)
    at = back + _grid(new.shape)
    there_and_back = np.linalg.norm(back + _sampled(forth, at), axis=-1)
    allowed = STRAY_PX + STRAY_SHARE * np.linalg.norm(back, axis=-1)
    brighter = new - _sampled(old.astype(np.float32), at)
    apart = np.abs(brighter - np.median(brighter))
    agrees = np.clip(1.5 - 0.5 * there_and_back / allowed, 0.0, 1.0)
    alike = np.clip(2.0 - apart / SAME_LUMA, 0.0, 1.0)
    sure = (agrees * alike * _inside(at)).astype(np.float32)
    cut = bool(sure.mean() < CUT_SURE and apart.mean() > CUT_LUMA)
    return Flow(at=at, sure=sure, cut=cut)


def carried(image: Image, flow: Flow) -> Image:
    """An image (H, W, 3) of the frame before as it would be now; what came into view repeats what was nearest."""
    moved = cv2.remap(image, flow.at[..., 0], flow.at[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.uint8)


def carried_mask(mask: Mask, flow: Flow) -> Mask:
    """A binary mask (H, W) of the frame before as it would be now, 0 or 255.

    What a thing uncovers behind it looks back at the thing, and is not sure: at the rim that is not the thing's.
    """
    moved = cv2.remap(mask, flow.at[..., 0], flow.at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) > 127
    certain = np.where(moved & ((flow.sure > UNCOVERED) | ~_inside(flow.at)), np.uint8(255), np.uint8(0))
    kept = moved & (_without_holes(certain) > 0)
    if 2 * np.count_nonzero(kept) < np.count_nonzero(moved):  # nothing is sure: it is no rim
        kept = moved
    return solid(_without_threads(np.where(kept, np.uint8(255), np.uint8(0))))


def _without_threads(mask: Mask) -> Mask:
    """Without what is thinner than three pixels, unless much of it is."""
    opened = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), dtype=np.uint8)
    return opened if np.count_nonzero(opened) > 0.8 * np.count_nonzero(mask) else mask


def _without_holes(mask: Mask) -> Mask:
    """Filled where it is closed all around, but for gaps of a few pixels."""
    border = 2
    padded = np.pad(mask, border)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, np.ones((2 * border + 1,) * 2, np.uint8))
    filled = closed.copy()
    cv2.floodFill(filled, None, (0, 0), 255)
    return np.asarray(closed | ~filled, dtype=np.uint8)[border:-border, border:-border]


def _inside(at: Floats) -> npt.NDArray[np.bool_]:
    """Which of these places are in the image; what comes into view over its edge was in none before."""
    height, width = at.shape[:2]
    return np.asarray((at >= 0).all(axis=-1) & (at[..., 0] <= width - 1) & (at[..., 1] <= height - 1))


def _dis(source: npt.NDArray[np.uint8], target: npt.NDArray[np.uint8]) -> Floats:
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(search.calc(source, target, None), dtype=np.float32)


def _sampled(values: Floats, at: Floats) -> Floats:
    got = cv2.remap(values, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(got, dtype=np.float32)


def _grid(size: tuple[int, ...]) -> Floats:
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    return np.stack([x, y], axis=-1)
