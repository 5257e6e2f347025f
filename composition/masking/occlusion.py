"""detect -> **mask** -> condition: what stands in front of the thing that is repainted stays in front of it.

A box, or a mask by hand, holds more than the thing: a person before the car, a chair before the table. What the
analyzer saw there, and is neither the thing nor a part of it, keeps its pixels if it is nearer to the camera.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from composition.images import DepthMap, Detection, Mask
from composition.imaging import masks
from composition.masking.select import likeness

LEAST_SHARE = 0.01
"""Of the region; an object whose box covers less of it hides nothing that is worth a look."""
SAME_THING = 0.5
"""From this intersection over union on, two boxes or outlines are of one thing, which two detectors have seen."""
PART = 0.9
"""From this share of its own pixels on that are the thing's, an object is a part of it."""
WHOLE = 0.9
"""From this share of the region on, an object is what holds the region (the car of a wheel); it hides no thing."""
MEANT = 0.8
"""From this share of its own pixels on that lie in a mask by hand, an object is meant to be repainted."""
NEARER = 4
"""Levels of depth (of 255) between two things of which one stands in front."""


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
    return tuple(item for item in reaching if all(likeness(item.box, own.box) < SAME_THING for own in found))


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
    nearest = np.median(depth[itself]) + NEARER
    nearer = [outline for outline in others if np.median(depth[(outline > 0) & region]) >= nearest]
    return masks.union(nearer) if nearer else None


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
