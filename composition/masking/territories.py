"""detect -> **mask** -> condition: which of several edits each pixel of the image is of.

A pixel is of the edit whose thing is nearest to it. Where things overlap, the later edit has the pixel: it is painted
over the earlier one, as if they were done one after the other. An edit of the whole image lies under all others.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from composition.images import Mask

Owners = npt.NDArray[np.uint8]
"""(H, W): of each pixel the place of its edit among all."""


def owners(things: Sequence[Mask]) -> Owners:
    """Which edit each pixel is of.

    Args:
        things: of each edit, in order, what it is about (H, W; > 0); an empty one gets no pixel, unless all are empty.
    """
    nearest = np.zeros(things[0].shape, np.uint8)
    least = np.full(things[0].shape, np.inf, np.float32)
    for place in painting_order(things):
        distance = _distance_to(things[place])
        nearer = distance <= least
        nearest[nearer & np.isfinite(distance)] = place
        least = np.minimum(least, distance)
    return nearest


def painting_order(things: Sequence[Mask]) -> list[int]:
    """The edits' places from the lowest to the topmost: those of the whole image first, then as they were asked for."""
    return sorted(range(len(things)), key=lambda place: (not things[place].all(), place))


def _distance_to(thing: Mask) -> npt.NDArray[np.float32]:
    if not thing.any():
        return np.full(thing.shape, np.inf, np.float32)
    outside = (thing == 0).astype(np.uint8)
    distance: npt.NDArray[np.float32] = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance
