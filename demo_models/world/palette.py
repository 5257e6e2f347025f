"""The names this world uses for colours, materials and shapes, and what they look like."""

from collections.abc import Mapping
from typing import Final, TypeAlias

import numpy as np

Rgb: TypeAlias = tuple[float, float, float]
"""Red, green, blue in 0..255."""

COLOURS: Final[Mapping[str, Rgb]] = {
    "red": (200, 30, 36),
    "green": (38, 140, 62),
    "blue": (34, 78, 196),
    "yellow": (238, 202, 44),
    "orange": (234, 122, 28),
    "purple": (120, 48, 164),
    "pink": (238, 132, 174),
    "white": (238, 238, 234),
    "black": (34, 34, 38),
    "grey": (138, 140, 144),
    "brown": (114, 70, 40),
    "teal": (22, 142, 148),
}

RIM_COLOURS: Final[Mapping[str, Rgb]] = {
    "silver": (204, 207, 213),
    "black": (46, 46, 51),
    "gold": (212, 168, 70),
}
RIM_STYLES: Final = ("five spoke", "ten spoke", "disc", "mesh")

PLAIN: Final = "plain"
LEATHER: Final = "leather"
PATTERNS: Final = ("striped", "checked")
SURFACES: Final = ("oak wood", "walnut wood", "white marble", "black marble", "metal")
MATERIALS: Final = (PLAIN, LEATHER, *PATTERNS, *SURFACES)

GARMENTS: Final = ("t-shirt", "jacket", "dress")
FURNITURE: Final = ("table", "chair", "sofa")

SKIN_TONES: Final[tuple[Rgb, ...]] = (
    (226, 184, 152),
    (198, 148, 112),
    (238, 208, 184),
    (146, 100, 72),
    (98, 68, 52),
)
HAIR_TONES: Final[tuple[Rgb, ...]] = (
    (38, 28, 24),
    (82, 54, 34),
    (128, 82, 44),
    (196, 160, 96),
    (150, 146, 142),
)


def jittered(rng: np.random.Generator, colour: Rgb, spread: float = 5.0) -> Rgb:
    """Returns the colour moved a little (normal, ``spread`` per channel), so that one name covers many shades."""
    red, green, blue = np.clip(np.asarray(colour) + rng.normal(0, spread, 3), 8, 248)
    return float(red), float(green), float(blue)


def darker(colour: Rgb, factor: float) -> Rgb:
    """Returns the colour multiplied by ``factor`` and clipped to 0..255."""
    red, green, blue = (min(255.0, channel * factor) for channel in colour)
    return red, green, blue
