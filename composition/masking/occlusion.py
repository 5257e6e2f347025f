"""detect -> **mask** -> condition: what stands in front of the thing that is repainted stays in front of it.

A box, or a mask by hand, holds more than the thing: a person before the car, a chair before the table. What the
analyzer saw there, and is neither the thing nor a part of it, keeps its pixels if it is nearer to the camera, or, where
depth does not tell, if it stands lower in the image or interrupts the thing's own outline. Limbs that the outline of a
person lacks are drawn by the pose.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from composition.images import DepthMap, Detection, Mask, Pose
from composition.imaging import masks
from composition.masking.body import limbs_left_out
from composition.masking.select import likeness

LEAST_SHARE = 0.01
"""Of the region; an object whose box covers less of it hides nothing that is worth a look."""
SAME_BOX, SAME_THING = 0.8, 0.5
"""From these intersections over unions on two boxes, and two outlines, are of one thing, which two detectors have seen.
Outlines tell more: a chair's box may be most of the sofa's behind it."""
PART = 0.9
"""From this share of its own pixels on that are the thing's, an object is a part of it."""
REST = 0.15
"""But if so much of the thing's outline lies beside an object that is much nearer, it was drawn over the object."""
WHOLE = 0.9
"""From this share of the region on, an object is what holds the region (the car of a wheel); it hides no thing."""
MEANT = 0.8
"""From this share of its own pixels on that lie in a mask by hand, an object is meant to be repainted."""
NEARER, FARTHER, FAR = 4, 16, 48
"""Levels of depth (of 255) from which on one thing surely stands in front of another; stands behind it, if nothing but
its outline speaks against that; and behind it whatever does: a thing's middle is not where it stands."""
LOWER_PX, HELD = 4.0, 0.7
"""What stands so much lower, in pixels of a 512-pixel image, stands nearer on the ground that both stand on; but an
object with so much of the thing is what wears or holds it."""
ENCLOSED, LEFT_OUT = 0.5, 0.3
"""An object interrupts the thing's outline if so much of it, in the region, lies within the outline's convex hull, and
of that the outline leaves out so much."""
RIM_PX = 5.0
"""So far around what stands in front nothing is repainted, in pixels of a 512-pixel image: outlines are no better."""

Pixels = npt.NDArray[np.bool_]


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


def in_front(thing: Mask, own: Mask | None, outlines: Sequence[Mask], depth: DepthMap) -> list[int]:
    """Which of the objects over a region stand in front of the thing, by their places among the outlines.

    Args:
        thing: (H, W), the region, 0/255.
        own: (H, W), the outline of the thing itself; None where a mask by hand is all that is known of it.
        outlines: (H, W) each, of the objects over the region.
        depth: (H, W), 255 = nearest.
    """
    region = thing > 0
    shapes = [outline > 0 for outline in outlines]
    others = [place for place, shape in enumerate(shapes) if _is_another(shape, region, own, depth)]
    if not others:
        return []
    itself = (region if own is None else own > 0) & ~np.any([shapes[place] for place in others], axis=0)
    if not itself.any():
        return []
    return [place for place in others if _is_before(shapes[place], region, own, itself, depth)]


def kept(front: Sequence[tuple[Mask, Pose | None]]) -> Mask:
    """What keeps its pixels (H, W; 0/255): the outlines of what stands in front, one at least; people have a pose."""
    shapes = [
        outline if pose is None else np.maximum(outline, limbs_left_out(outline, pose)) for outline, pose in front
    ]
    return masks.dilate(masks.union(shapes), masks.scale_px(RIM_PX, shapes[0].shape))


def _is_before(shape: Pixels, region: Pixels, own: Mask | None, itself: Pixels, depth: DepthMap) -> bool:
    """Whether an object stands before the thing, of which `itself` is seen."""
    seen = shape & region
    apart = _level(depth, seen) - _level(depth, itself)
    if apart >= NEARER or apart <= -FAR or own is None:
        return apart >= NEARER
    holds = np.count_nonzero(shape & (own > 0)) >= HELD * np.count_nonzero(own)
    if not holds and _base(shape) - _base(itself) >= masks.scale_px(LOWER_PX, own.shape):
        return True
    if apart <= -FARTHER:
        return False
    within = seen & _hull(own)
    left_out = within & (own == 0)
    return bool(
        np.count_nonzero(within) >= ENCLOSED * np.count_nonzero(seen)
        and np.count_nonzero(left_out) >= LEFT_OUT * np.count_nonzero(within)
    )


def _level(depth: DepthMap, where: Pixels) -> float:
    return float(np.median(depth[where]))


def _base(shape: Pixels) -> int:
    """The lowest row of a shape that has pixels."""
    return int(np.flatnonzero(shape.any(axis=1))[-1])


def _hull(own: Mask) -> Pixels:
    """The convex hull of an outline that has pixels, bool (H, W)."""
    filled = np.zeros(own.shape, np.uint8)
    corners = np.argwhere(own > 0)[:, ::-1].astype(np.int32)
    cv2.fillConvexPoly(filled, cv2.convexHull(corners), 1)
    return filled > 0


def _is_another(shape: Pixels, region: Pixels, own: Mask | None, depth: DepthMap) -> bool:
    """Whether an object over the region is neither what is repainted nor what holds it."""
    hidden = np.count_nonzero(shape & region)
    if hidden == 0 or hidden >= WHOLE * np.count_nonzero(region):
        return False
    if own is None:
        return bool(hidden < MEANT * np.count_nonzero(shape))
    shared, both = np.count_nonzero(shape & (own > 0)), np.count_nonzero(shape | (own > 0))
    if shared < PART * np.count_nonzero(shape) and shared < SAME_THING * both:
        return True
    rest = (own > 0) & ~shape
    drawn_over = np.count_nonzero(rest) >= REST * np.count_nonzero(own)
    return bool(drawn_over and _level(depth, shape & region) - _level(depth, rest) >= FARTHER)


def _within(thing: Mask, item: Detection) -> Mask:
    box = item.box
    return thing[max(0, int(box.y0)) : max(0, int(box.y1)), max(0, int(box.x0)) : max(0, int(box.x1))]
