"""Where things stand: the camera of a room and the floor's depth in every scene."""

import math
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from demo_models.world.canvas import CANVAS_PX

FOCAL_PX: Final = 1.05 * CANVAS_PX
CENTRE_Y_PX: Final = 0.47 * CANVAS_PX
DEPTH_PER_INVERSE_METRE: Final = 430.0

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A flat floor seen in perspective: its inverse depth grows linearly below the horizon.

    Attributes:
        horizon_px: Canvas row where the floor would be infinitely far away.
        gain_per_px: Inverse depth (0..255) per row below it.
    """

    horizon_px: float
    gain_per_px: float

    def depth_at(self, y_px: float) -> float:
        """Returns the floor's inverse depth at a canvas row."""
        return float(np.clip((y_px - self.horizon_px) * self.gain_per_px, 0, 255))


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A camera in a room, looking along +z and a little down.

    Attributes:
        height_m: Above the floor (y = 0).
        distance_m: In front of the origin.
        pitch_rad: Downwards.
    """

    height_m: float = 1.25
    distance_m: float = 2.6
    pitch_rad: float = 0.30

    def project(self, points_m: Floats) -> Floats:
        """Projects world points (N, 3) to (N, 3): canvas x, canvas y, distance along the optical axis in metres."""
        x, y, z = (points_m - np.array([0.0, self.height_m, -self.distance_m])).T
        cos, sin = math.cos(self.pitch_rad), math.sin(self.pitch_rad)
        up, forward = y * cos + z * sin, z * cos - y * sin
        return np.stack([CANVAS_PX / 2 + FOCAL_PX * x / forward, CENTRE_Y_PX - FOCAL_PX * up / forward, forward], 1)

    def floor_points(self, first_row: int) -> tuple[Floats, Floats]:
        """Returns the world x and z, in metres, of the floor pixels from ``first_row`` down, each (rows, CANVAS_PX)."""
        slope = (CENTRE_Y_PX - np.arange(first_row, CANVAS_PX)) / FOCAL_PX
        cos, sin = math.cos(self.pitch_rad), math.sin(self.pitch_rad)
        forward = -self.height_m / (slope * cos - sin)
        z = forward * (cos + slope * sin) - self.distance_m
        side = (np.arange(CANVAS_PX) - CANVAS_PX / 2) / FOCAL_PX
        return forward[:, None] * side[None, :], np.repeat(z[:, None], CANVAS_PX, axis=1)

    def ground(self) -> Ground:
        """Returns the floor that this camera sees."""
        cos, sin = math.cos(self.pitch_rad), math.sin(self.pitch_rad)
        return Ground(
            horizon_px=CENTRE_Y_PX - FOCAL_PX * sin / cos,
            gain_per_px=DEPTH_PER_INVERSE_METRE * cos / (self.height_m * FOCAL_PX),
        )
