"""A plane that was made at a smaller size, at the photograph's own size and with its edges.

A guided filter (He, Sun and Tang 2010; at reduced size, He and Sun 2015, arXiv:1505.00996) says for every small window
how the plane follows from the photograph's colours, as an affine map of RGB; that map is applied to the photograph.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from composition.images import Image

RADIUS_PX = 3
"""Of the windows in which the maps are learnt, in pixels of the small plane; they are averaged once over as much."""
EPSILON = 1e-4
"""Contrast (squared, of RGB in 0..1) below which the photograph says nothing: a deviation of 2.5 of 255."""

Plane = npt.NDArray[np.float32]


def enlarged(plane: Plane, photo: Image) -> Plane:
    """A plane (h, w) in 0..1 at the photograph's size (H, W)."""
    height, width = photo.shape[:2]
    guide = photo.astype(np.float32) / np.float32(255)
    small = np.asarray(cv2.resize(guide, plane.shape[::-1], interpolation=cv2.INTER_AREA), dtype=np.float32)
    mean_guide, mean_plane = _mean(small), _mean(plane)
    products = small[..., :, None] * np.dstack([small, plane])[..., None, :]
    expected = np.stack([_mean(products[..., channel, :]) for channel in range(3)], axis=-2)
    covariance = expected - mean_guide[..., :, None] * np.dstack([mean_guide, mean_plane])[..., None, :]
    spread = covariance[..., :3] + np.float32(EPSILON) * np.eye(3, dtype=np.float32)
    gain = np.linalg.solve(spread, covariance[..., 3:])[..., 0]
    offset = mean_plane - (mean_guide * gain).sum(axis=-1)
    gain, offset = (
        np.asarray(cv2.resize(_mean(each), (width, height), interpolation=cv2.INTER_LINEAR)) for each in (gain, offset)
    )
    return np.asarray(np.clip((guide * gain).sum(axis=2) + offset, 0.0, 1.0), dtype=np.float32)


def _mean(planes: Plane) -> Plane:
    return np.asarray(cv2.blur(planes, (2 * RADIUS_PX + 1,) * 2), dtype=np.float32)
