"""Averages over pixels that are near and alike in the photograph: a model's smear sorted by the photograph's colours.

A bilateral filter in slices (Durand and Dorsey 2002): the photograph's colours are cut into a few soft slices, and
within each a plain Gaussian average is taken. An average so made changes where the photograph's colour changes, however
soft its subject is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from composition.imaging.lab import Lab

CELL = 8.0
"""Side of the cells of L*a*b* that are counted to find the slices' colours."""
SEPARATION = 12.0
"""Slices' colours start at least so far apart, in L*a*b*."""
SOFTNESS = 6.0
"""A pixel belongs to the slices around its colour by a Gaussian of this deviation."""
MAX_SLICES = 20
LEAST_SHARE = 2e-4
"""A cell with a smaller share of the pixels makes no slice."""
_ROUNDS = 4
_ELSEWHERE = 1e-4
"""Weight of a slice's overall average: it counts only where the slice has nothing near."""

Plane = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class ColourSlices:
    """How much of every pixel lies in each slice, float32 (K, H, W), and the averages' deviation in pixels."""

    shares: Plane
    sigma_px: float

    @classmethod
    def of(cls, photo: Lab, counted: npt.NDArray[np.bool_], sigma_px: float) -> Self:
        """Slices of a photograph (H, W, 3), by the colours of the pixels (H, W) that are counted (at least one)."""
        colours = _colours(photo[counted])
        squares = np.stack([np.square(photo - colour).sum(axis=2) for colour in colours])
        shares = np.exp((squares.min(axis=0) - squares) / np.float32(2 * SOFTNESS**2))
        return cls(shares=shares / shares.sum(axis=0), sigma_px=sigma_px)

    def average(self, planes: Plane, weight: Plane) -> Plane:
        """The planes (H, W, C) averaged over what is near and alike, where the weight (H, W) is."""
        height, width = weight.shape
        shrink = min(1.0, 2.5 / self.sigma_px)
        small = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        averaged, counted = np.zeros_like(planes), np.dstack([planes, np.ones_like(weight)])
        for share in self.shares:
            stacked = cv2.resize(counted * (share * weight)[..., None], small, interpolation=cv2.INTER_AREA)
            overall = stacked[..., :-1].sum(axis=(0, 1)) / max(float(stacked[..., -1].sum()), _ELSEWHERE)
            near = cv2.GaussianBlur(stacked, (0, 0), self.sigma_px * shrink)
            means = (near[..., :-1] + _ELSEWHERE * overall) / (near[..., -1:] + _ELSEWHERE)
            means = cv2.resize(means.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
            averaged += share[..., None] * means.reshape(planes.shape)
        return averaged


def _colours(pixels: Lab) -> Lab:
    """The slices' colours (K, 3): the commonest ones that are apart, moved to the middle of what is nearest."""
    cells = np.floor(pixels / CELL).astype(int)
    cells -= cells.min(axis=0)
    numbers = np.ravel_multi_index(tuple(cells.T), tuple(cells.max(axis=0) + 1))
    held = np.bincount(numbers)
    counts, cell_of = held[held > 0], (np.cumsum(held > 0) - 1)[numbers]
    means = np.stack([np.bincount(cell_of, pixels[:, channel]) / counts for channel in range(3)], axis=1)
    chosen: list[npt.NDArray[np.float64]] = []
    for cell in np.argsort(-counts, kind="stable"):
        if chosen and (counts[cell] < LEAST_SHARE * len(pixels) or len(chosen) == MAX_SLICES):
            break
        if all(np.linalg.norm(means[cell] - colour) >= SEPARATION for colour in chosen):
            chosen.append(means[cell])
    colours = np.array(chosen, dtype=np.float32)
    for _ in range(_ROUNDS):
        nearest = np.square(means[:, None] - colours).sum(axis=2).argmin(axis=1)
        for number in np.unique(nearest):
            inside = nearest == number
            colours[number] = np.average(means[inside], axis=0, weights=counts[inside])
    return colours
