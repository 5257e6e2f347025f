"""Curves and limbs as point lists, in canvas pixels (x right, y down)."""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Points: TypeAlias = NDArray[np.float64]
"""Float array of shape (N, 2): x, y in canvas pixels."""


def point(x: float, y: float) -> Points:
    """Returns one point or direction, shape (2,)."""
    return np.array([x, y], dtype=np.float64)


def smooth_outline(corners: Sequence[Sequence[float]] | Points, steps: int = 6) -> Points:
    """Rounds a closed outline with a Catmull-Rom spline.

    Args:
        corners: The points the curve passes through, shape (N, 2).
        steps: Points to insert per corner.

    Returns:
        Shape (N * steps, 2).
    """
    p1 = np.asarray(corners, dtype=np.float64)
    p0, p2, p3 = np.roll(p1, 1, 0), np.roll(p1, -1, 0), np.roll(p1, -2, 0)
    t = (np.arange(steps) / steps)[None, :, None]
    p0, p1, p2, p3 = (p[:, None, :] for p in (p0, p1, p2, p3))
    curve = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return np.asarray(curve.reshape(-1, 2))


def limb_outline(start: Points, end: Points, start_radius: float, end_radius: float) -> Points:
    """Returns the outline of a limb: two half discs joined by straight sides, shape (18, 2)."""
    along = end - start
    heading = math.atan2(along[1], along[0])

    def cap(centre: Points, radius: float, first: float) -> Points:
        angles = heading + first + np.linspace(0, math.pi, 9)
        return np.asarray(centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1))

    return np.concatenate([cap(start, start_radius, math.pi / 2), cap(end, end_radius, -math.pi / 2)])


def polar(centre: Points, radius: float, angle: float) -> Points:
    """Returns the point at ``angle`` radians and ``radius`` from the centre."""
    return np.asarray(centre + radius * point(math.cos(angle), math.sin(angle)))
