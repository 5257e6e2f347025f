"""detect -> **mask** -> condition: what stands in front of the thing that is repainted stays in front of it.

A box, or a mask by hand, holds more than the thing: a person before the car, a chair before the table. What the
analyzer saw there, and is neither the thing nor a part of it, keeps its pixels if it is nearer to the camera, or, where
depth does not tell, if it interrupts the thing's own outline.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from composition.images import DepthMap, Detection, Mask
from composition.imaging import masks
from composition.masking.select import likeness

LEAST_SHARE = 0.01
"""Of the region; an object whose box covers less of it hides nothing that is worth a look."""
SAME_BOX, SAME_THING = 0.8, 0.5
"""From these intersections over unions on two boxes, and two outlines, are of one thing, which two detectors have seen.
Outlines tell more: a chair's box may be most of the sofa's behind it."""
PART = 0.9
"""From this share of its own pixels on that are the thing's, an object is a part of it."""
WHOLE = 0.9
"""From this share of the region on, an object is what holds the region (the car of a wheel); it hides no thing."""
MEANT = 0.8
"""From this share of its own pixels on that lie in a mask by hand, an object is meant to be repainted."""
NEARER, FARTHER = 4, 16
"""Levels of depth (of 255) from which on one thing surely stands in front of another, and behind it."""
ENCLOSED, LEFT_OUT = 0.5, 0.3
"""An object interrupts the thing's outline if so much of it, in the region, lies within the outline's convex hull, and
of that the outline leaves out so much."""
RIM_PX = 4.0
"""So far around what stands in front nothing is repainted, in pixels of a 512-pixel image: outlines are no better."""


def over(thing: Mask, found: Sequence[Detection], objects: Sequence[Detection]) -> tuple[Detection, ...]:
    """The objects that may hide a part of the thing in a region, by their boxes alone.

    Args:
        thing: (H, W), the region, 0/255.
        found: the instances that it was made from; none of a mask by hand.
        objects: what the analyzer saw.
    """
    least = LEAST_SHARE * np.count_nonzero(thing)
    reaching = [item for item in objects if np.count_nonzero(_within(thing, item)) > least]
    if not found:
        return tuple(item for item in reaching if np.count_nonzero(_within(thing, item)) < MEANT * item.box.area)
    return tuple(item for item in reaching if all(likeness(item.box, own.box) < SAME_BOX for own in found))


def in_front(thing: Mask, own: Mask | None, outlines: Sequence[Mask], depth: DepthMap) -> Mask | None:
    """What stands in front of the thing in a region (H, W; 0/255); None: nothing does.

    Args:
        thing: (H, W), the region, 0/255.
        own: (H, W), the outline of the thing itself; None where a mask by hand is all that is known of it.
        outlines: (H, W) each, of the objects over the region.
        depth: (H, W), 255 = nearest.
    """
    region = thing > 0
    others = [outline for outline in outlines if _is_another(outline > 0, region, own)]
    if not others:
        return None
    itself = (region if own is None else own > 0) & ~(masks.union(others) > 0)
    if not itself.any():
        return None
    level = float(np.median(depth[itself]))
    front = [outline for outline in others if _is_before(outline > 0, region, own, depth, level)]
    return masks.dilate(masks.union(front), masks.scale_px(RIM_PX, region.shape)) if front else None


def _is_before(
    shape: npt.NDArray[np.bool_], region: npt.NDArray[np.bool_], own: Mask | None, depth: DepthMap, level: float
) -> bool:
    """Whether an object stands before a thing at a level of depth."""
    seen = shape & region
    apart = float(np.median(depth[seen])) - level
    if apart >= NEARER or apart <= -FARTHER or own is None:
        return apart >= NEARER
    within = seen & _hull(own)
    left_out = within & (own == 0)
    return bool(
        np.count_nonzero(within) >= ENCLOSED * np.count_nonzero(seen)
        and np.count_nonzero(left_out) >= LEFT_OUT * np.count_nonzero(within)
    )


def _hull(own: Mask) -> npt.NDArray[np.bool_]:
    """The convex hull of an outline that has pixels, bool (H, W)."""
    filled = np.zeros(own.shape, np.uint8)
    corners = np.argwhere(own > 0)[:, ::-1].astype(np.int32)
    cv2.fillConvexPoly(filled, cv2.convexHull(corners), 1)
    return filled > 0


def _is_another(shape: npt.NDArray[np.bool_], region: npt.NDArray[np.bool_], own: Mask | None) -> bool:
    """Whether an object over the region is neither what is repainted nor what holds it."""
    hidden = np.count_nonzero(shape & region)
    if hidden == 0 or hidden >= WHOLE * np.count_nonzero(region):
        return False
    if own is None:
        return bool(hidden < MEANT * np.count_nonzero(shape))
    shared, both = np.count_nonzero(shape & (own > 0)), np.count_nonzero(shape | (own > 0))
    return bool(shared < min(SAME_THING * both, PART * np.count_nonzero(shape)))


def _within(thing: Mask, item: Detection) -> Mask:
    box = item.box
    return thing[max(0, int(box.y0)) : max(0, int(box.y1)), max(0, int(box.x0)) : max(0, int(box.x1))]
