"""Shapes of anything: blobs, polygons, slabs and strokes of a brush."""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_models.world.geometry import Points, smooth_outline

PICTURE_PX: Final = 256
_SHIFT: Final = 4
"""Of OpenCV's fixed-point corners: sixteenths of a pixel."""

Plane = NDArray[np.float32]


def silhouette(rng: np.random.Generator, least_px: float, most_px: float) -> Plane:
    """Draws a shape of about a radius somewhere in the picture; some of it may be outside.

    Returns:
        Coverage in 0..1, float32 (256, 256).
    """
    centre = rng.uniform(0.1 * PICTURE_PX, 0.9 * PICTURE_PX, 2)
    radius = float(np.exp(rng.uniform(math.log(least_px), math.log(most_px))))
    kind = rng.random()
    if kind < 0.4:
        return _filled(centre + _turned(_blob(rng) * radius, rng))
    if kind < 0.65:
        return _filled(centre + _turned(_polygon(rng) * radius, rng))
    if kind < 0.85:
        return _filled(centre + _turned(_slab(rng) * radius, rng))
    return _stroke(rng, centre, radius)


def _blob(rng: np.random.Generator) -> Points:
    """A closed curve about the origin, some way round: a mean radius of 1 and a few waves."""
    angles = np.linspace(0, 2 * math.pi, 64, endpoint=False)
    radii = np.ones(64)
    for waves in range(2, 7):
        radii += rng.normal(0, 0.5 / waves) * np.cos(waves * angles + rng.uniform(0, 2 * math.pi))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.clip(radii, 0.25, 2.0)[:, None]


def _polygon(rng: np.random.Generator) -> Points:
    angles = np.sort(rng.uniform(0, 2 * math.pi, int(rng.integers(3, 10))))
    corners = np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(0.5, 1.3, (len(angles), 1))
    return smooth_outline(corners) if rng.random() < 0.5 else corners


def _slab(rng: np.random.Generator) -> Points:
    return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (1, rng.uniform(0.2, 1))


def _turned(outline: Points, rng: np.random.Generator) -> Points:
    """Stretched along one axis and turned."""
    stretch, angle = rng.uniform(0.6, 1.6), rng.uniform(0, math.pi)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.asarray((outline * (stretch, 1 / stretch)) @ turn)


def _filled(outline: Points) -> Plane:
    canvas = np.zeros((PICTURE_PX, PICTURE_PX), np.uint8)
    corners = np.rint(outline * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(canvas, [corners], 255, lineType=cv2.LINE_AA, shift=_SHIFT)
    return canvas.astype(np.float32) / np.float32(255)


def _stroke(rng: np.random.Generator, centre: Points, radius: float) -> Plane:
    steps = rng.normal(0, 0.8 * radius, (int(rng.integers(2, 6)), 2))
    path = centre + np.cumsum(steps, axis=0) - steps.mean(axis=0)
    canvas = np.zeros((PICTURE_PX, PICTURE_PX), np.uint8)
    corners = np.rint(path * (1 << _SHIFT)).astype(np.int32)
    width = max(3, round(radius * rng.uniform(0.2, 0.7)))
    cv2.polylines(canvas, [corners], False, 255, width, cv2.LINE_AA, _SHIFT)
    return canvas.astype(np.float32) / np.float32(255)
