"""One colour for one thing in several photographs: diffuse -> **one look** -> keep -> blend.

What a model paints of "red" differs from photograph to photograph by more than the eye lets pass in two pictures of one
thing. Each says what colour it was given there and how bright the same surface was before, which tells the light of the
photograph: all show the same thing. The median of the colours without that light is the look of the thing, and each is
given that look under its own light.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from composition.images import Image, Mask
from composition.imaging.lab import Lab, distance, luma, to_lab, to_rgb

PAINTED = 12.0
"""A painted pixel this far from the photograph, in L*a*b*, was changed."""
SAME_HUE = 25.0
"""What is this far from the thing's colour in a* and b* is half of another part, and moves half as far."""
SAME_LIGHT, MOST_LIGHT = 1.25, 2.0
"""Brightness that differs by less, as a factor, is of the thing's sides; more than the second is no light."""
MAX_GAIN = 1.5
"""Of lightness, either way: what differs by more is no shade of one colour."""
_LEAST_PIXELS = 50

Rgb = npt.NDArray[np.float32]
"""float32 (3,), 0..255."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """What a thing has become in one photograph.

    Attributes:
        colour: as it was painted.
        brightness: the mean luma that the same pixels had before, 0..255.
    """

    colour: Rgb
    brightness: float


def common_colours(surfaces: Sequence[Surface | None]) -> list[Rgb | None]:
    """Of each photograph the colour of the one look under its own light.

    None where a photograph says nothing of the colour, and everywhere where fewer than two do.
    """
    known = [one for one in surfaces if one is not None]
    if len(known) < 2:
        return [None] * len(surfaces)
    usual = float(np.exp(np.mean([np.log(one.brightness + 1.0) for one in known])))
    lights = [None if one is None else _light((one.brightness + 1.0) / usual) for one in surfaces]
    unlit = [one.colour / light for one, light in zip(surfaces, lights, strict=True) if one is not None and light]
    look = np.median(unlit, axis=0)
    return [None if light is None else np.clip(look * light, 0.0, 255.0).astype(np.float32) for light in lights]


def surface_of(painted: Image, photo: Image, thing: Mask) -> Surface | None:
    """What was painted of a thing (H, W; > 0 inside); None where too little has changed to say.

    Both images are (H, W, 3).
    """
    core = cv2.erode((thing > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    changed = core & (distance(to_lab(painted), to_lab(photo)) > PAINTED)
    if np.count_nonzero(changed) < _LEAST_PIXELS:
        return None
    colour = painted[changed].astype(np.float32).mean(axis=0)
    return Surface(colour=colour, brightness=float(luma(photo[core]).mean()))


def recoloured(image: Image, colour: Rgb, wanted: Rgb) -> Image:
    """The image (H, W, 3) with what is of a colour in another; lightness by a factor, so that dark stays dark."""
    lab, have, want = to_lab(image), to_lab(colour), to_lab(wanted)
    alike = _nearness(lab, have)
    gain = float(np.clip((want[0] + 1.0) / (have[0] + 1.0), 1.0 / MAX_GAIN, MAX_GAIN))
    moved = lab + alike[..., None] * np.array([0.0, *(want - have)[1:]], np.float32)
    moved[..., 0] = lab[..., 0] * (1.0 + alike * (gain - 1.0))
    return to_rgb(moved)


def _light(brightness: float) -> float:
    """How much light is on the thing, as a factor of what is usual, by how bright it is against that."""
    beyond = min(max(1.0, max(brightness, 1.0 / brightness) / SAME_LIGHT), MOST_LIGHT)
    return beyond if brightness > 1.0 else 1.0 / beyond


def _nearness(lab: Lab, colour: Lab) -> npt.NDArray[np.float32]:
    """How much a pixel is of a colour, whatever light is on it, 0..1."""
    apart = distance(lab[..., 1:], colour[1:]) / np.float32(SAME_HUE)
    return np.asarray(1.0 / (1.0 + apart**4), dtype=np.float32)
