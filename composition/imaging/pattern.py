"""Checks and stripes: whether a thing has them, how much of them is left in a painting, and the light without them.

A thing with a pattern is of two colours that meet in sharp and long borders. Its pixels fall apart into the two along
the direction in which they differ most (Otsu 1979). Light multiplies both: it is what explains the pixels of both near
a place, in the sense of least squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from composition.imaging.lab import distance, luma, to_lab

ACROSS_PX = 3
"""Two pixels so far from each other are on the two sides of a border."""
SHARP = 0.6
"""Of the difference of the two colours, that pixels on the two sides of a border have: in a shade it is less."""
LONG = 4.0
"""Length of all borders over the square root of the thing's area: two sides of a box in different light have one."""
LEAST = 0.3
"""Of the thing, that is of each colour: a zip and what is in the shade of a fold are less."""
ALL = 0.94
"""Of the thing, that both colours together are at least."""
OTHER_HUE, SHADE = 3.0, 0.55
"""One colour under two lights is no pattern: nearer in a* and b* than the first, not darker than by the second."""
FINE, BROAD = 0.15, 2.0
"""Deviations of the light's averages, as shares of other averages': in the end, and to tell the colours apart."""
BEYOND = 12.0
"""What is farther from both colours under their light, in L*a*b*, is no part of the pattern."""
BRIGHTEST, WHITE = 0.99, 255.0
"""The share of its pixels that the one colour has room for below white: it is made darker if it has none."""
MIXTURES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the second colour: a pixel on a border is of both."""
AMONG = 0.05
"""Share of each colour in what is near, below which it has no pattern there: legs in one of a seat's colours."""
ABOUT = (0.7, 1.4)
"""A pixel's light as a share of that of what is near."""
_BINS = 64
_LEAST_PIXELS = 50
_ROUNDS = 4
_LEAST_LIGHT, _MOST_LIGHT = 0.3, 2.0
_NOTHING = 1e-4

Plane = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.bool_]
Rgb = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pattern:
    """The two colours of a thing.

    Attributes:
        colours: float32 (2, 3), RGB, 0..255, under the thing's mean light.
        light: on every pixel, 1 = mean, float32 (H, W).
        sides: which pixels are next to a border, on this side and on that, each bool (H, W).
        sigma_px: deviation of other averages over what is near.
    """

    colours: Rgb
    light: Plane
    sides: tuple[Pixels, Pixels]
    sigma_px: float

    @classmethod
    def of(cls, photo: npt.NDArray[np.float32], thing: Pixels, sigma_px: float) -> Self | None:
        """The pattern of a thing (H, W) in a photograph (H, W, 3), 0..255; None: it has none."""
        area = np.count_nonzero(thing)
        if area < _LEAST_PIXELS:
            return None
        along = _along(photo, thing)
        first = along < _otsu(along[thing])
        one, other = thing & first, thing & ~first
        if min(np.count_nonzero(one), np.count_nonzero(other)) < LEAST * area:
            return None
        if _is_shade(np.median(photo[one], axis=0), np.median(photo[other], axis=0)):
            return None
        borders = _borders(along, first, thing)
        return None if borders is None else cls._settled(photo, thing, (one, other), borders, sigma_px)

    @classmethod
    def _settled(
        cls,
        photo: npt.NDArray[np.float32],
        thing: Pixels,
        sides: tuple[Pixels, Pixels],
        borders: Pixels,
        sigma_px: float,
    ) -> Self | None:
        """Which pixels are of which colour under their light, in turns with what colours and light that makes."""
        light = np.ones(thing.shape, np.float32)
        for _ in range(_ROUNDS):
            colours = np.stack([(photo[side] / light[side][:, None]).mean(axis=0) for side in sides])
            light = _light(photo, colours, sides, BROAD * sigma_px)
            first = _apart(photo, colours[0], light) < _apart(photo, colours[1], light)
            sides = thing & first, thing & ~first
            if not sides[0].any() or not sides[1].any():
                return None
        next_to = (sides[0] & borders, sides[1] & borders)
        pattern = cls(colours=colours, light=light, sides=next_to, sigma_px=sigma_px)
        return pattern if pattern._own(photo)[thing].mean() > ALL else None

    def contrast(self, plane: Plane) -> float:
        """How much more a plane (H, W) has at the borders on one side than on the other."""
        one, other = self.sides
        if not one.any() or not other.any():
            return 0.0
        return float(plane[one].mean() - plane[other].mean())

    def evened(self, photo: npt.NDArray[np.float32], thing: Pixels, unlike: Rgb) -> npt.NDArray[np.float32]:
        """The photograph (H, W, 3; 0..255) as if what has one of the two colours had that which is less like a third.

        The light near a place is that of both colours; its detail is how each pixel differs from its own colour there.

        Args:
            photo: of which this is.
            thing: (H, W), where the pattern is looked for.
            unlike: the third colour, RGB (3,), 0..255.
        """
        to_one, to_other = (_apart(photo, colour, self.light) for colour in self.colours)
        own, first = self._own(photo) & thing, to_one < to_other
        for side in (first, ~first):
            around = cv2.GaussianBlur((own & side).astype(np.float32), (0, 0), BROAD * self.sigma_px)
            own &= around > AMONG * cv2.GaussianBlur(thing.astype(np.float32), (0, 0), BROAD * self.sigma_px)
        inner = np.ones((3, 3), np.uint8)
        sides = [own & side for side in (first, ~first)]
        pure = [cv2.erode(side.astype(np.uint8), inner) > 0 for side in sides]
        broad = _light(photo, self.colours, (pure[0], pure[1]), BROAD * self.sigma_px)
        unlit = photo.copy()
        for colour, side in zip(self.colours, pure, strict=True):
            unlit[side] /= _light(photo, colour[None], (side,), BROAD * self.sigma_px, broad)[side][:, None]
        detail = _light(unlit, self.colours, (pure[0], pure[1]), FINE * self.sigma_px, np.float32(1.0))
        apart = distance(to_lab(self.colours), to_lab(unlike))
        light, colour = broad * detail, self.colours[apart.argmax()]
        brightest = float(np.quantile(light[own], BRIGHTEST)) if own.any() else 1.0
        room = min(1.0, WHITE / max(brightest * float(colour.max()), 1.0))
        even = np.clip(room * light[..., None] * colour, 0.0, WHITE)
        return np.where(own[..., None], even, photo).astype(np.float32)

    def _own(self, photo: npt.NDArray[np.float32]) -> Pixels:
        """What is of one of the two colours (H, W), or at their border of both, in about the light of what is near."""
        apart = np.full(self.light.shape, np.inf, np.float32)
        for share in MIXTURES:
            mixed = (1.0 - share) * self.colours[0] + share * self.colours[1]
            own = photo @ mixed / max(float(mixed @ mixed), 1.0)
            light = np.clip(own, ABOUT[0] * self.light, ABOUT[1] * self.light)
            apart = np.minimum(apart, _apart(photo, mixed, light))
        return apart < BEYOND


def _light(
    photo: npt.NDArray[np.float32],
    colours: Rgb,
    sides: tuple[Pixels, ...],
    sigma_px: float,
    otherwise: Plane | np.float32 | None = None,
) -> Plane:
    """What the colours (N, 3) have to be multiplied with, near every pixel (H, W), by pixels of each."""
    seen, known = np.zeros(photo.shape[:2], np.float32), np.zeros(photo.shape[:2], np.float32)
    for colour, side in zip(colours, sides, strict=True):
        seen[side] = photo[side] @ colour
        known[side] = float(colour @ colour)
    usual = np.float32(seen.sum() / max(float(known.sum()), 1.0)) if otherwise is None else otherwise
    much = np.float32(_NOTHING * float(known.max()) + _NOTHING)
    seen, known = (cv2.GaussianBlur(plane, (0, 0), sigma_px) for plane in (seen, known))
    light = (seen + much * usual) / (known + much)
    return np.asarray(np.clip(light, _LEAST_LIGHT, _MOST_LIGHT), dtype=np.float32)


def _apart(photo: npt.NDArray[np.float32], colour: Rgb, light: Plane) -> Plane:
    """How far the pixels (H, W, 3) are from a colour (3,) under its light (H, W), in L*a*b*."""
    return distance(to_lab(photo), to_lab(np.clip(light[..., None] * colour, 0.0, 255.0)))


def _along(photo: npt.NDArray[np.float32], thing: Pixels) -> npt.NDArray[np.float64]:
    """Where the pixels (H, W) lie on the line in L*a*b* along which the thing's differ most."""
    lab = to_lab(photo)
    inside = lab[thing].astype(np.float64)
    middle = inside.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov((inside - middle).T))
    return np.asarray((lab - middle) @ axes[:, -1])


def _borders(along: npt.NDArray[np.float64], first: Pixels, thing: Pixels) -> Pixels | None:
    """The pixels (H, W) at borders of the thing's first part with its rest; None where these are blurred or short."""
    borders, jumps = np.zeros(thing.shape, bool), []
    for axis in (0, 1):
        near, far = _ends(axis)
        crossed = (first[near] != first[far]) & thing[near] & thing[far]
        jumps.append(np.abs(along[near] - along[far])[crossed])
        borders[near] |= crossed
        borders[far] |= crossed
    jump = np.concatenate(jumps)
    if len(jump) < ACROSS_PX * LONG * np.sqrt(np.count_nonzero(thing)):
        return None
    apart = along[thing & ~first].mean() - along[thing & first].mean()
    return borders if jump.mean() >= SHARP * apart else None


def _is_shade(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> bool:
    """Whether two colours, RGB (3,), are one under different light."""
    dark, light = sorted((one, other), key=lambda colour: float(luma(colour)))
    share = (float(luma(dark)) + 1.0) / (float(luma(light)) + 1.0)
    return share > SHADE and float(np.linalg.norm(to_lab(share * light)[1:] - to_lab(dark)[1:])) < OTHER_HUE


def _ends(axis: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The pixels of a plane that have one across along an axis, and those."""
    near, far, rest = slice(None, -ACROSS_PX), slice(ACROSS_PX, None), slice(None)
    return ((near, rest), (far, rest)) if axis == 0 else ((rest, near), (rest, far))


def _otsu(values: npt.NDArray[np.float64]) -> float:
    """The threshold that leaves the least variance on its two sides."""
    counts, edges = np.histogram(values, _BINS)
    middles = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * middles)
    apart = np.square(sums[:-1] * above - (sums[-1] - sums[:-1]) * below) / np.maximum(below * above, 1)
    return float(edges[1:-1][apart.argmax()])
