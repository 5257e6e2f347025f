"""About which colour a word means: a hint to what a model has painted, never painted itself.

From the survey of colour names by xkcd (2010, CC0): what most of those who were asked called by the name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import numpy as np

from composition.imaging.one_look import Rgb

_COLOURS: Final[Mapping[str, tuple[int, int, int]]] = {
    "beige": (230, 218, 166), "black": (0, 0, 0), "blue": (3, 67, 223), "bronze": (168, 121, 0), "brown": (101, 55, 0),
    "burgundy": (97, 0, 35), "coral": (252, 90, 80), "cream": (255, 255, 194), "crimson": (140, 0, 15),
    "cyan": (0, 255, 255), "gold": (219, 180, 12), "golden": (245, 191, 3), "gray": (146, 149, 145),
    "green": (21, 176, 26), "grey": (146, 149, 145), "indigo": (56, 2, 130), "khaki": (170, 166, 98),
    "lavender": (199, 159, 239), "lilac": (206, 162, 253), "lime": (170, 255, 50), "magenta": (194, 0, 120),
    "maroon": (101, 0, 33), "mint": (159, 254, 176), "mustard": (206, 179, 1), "navy": (1, 21, 62),
    "olive": (110, 117, 14), "orange": (249, 115, 6), "peach": (255, 176, 124), "pink": (255, 129, 192),
    "purple": (126, 30, 156), "red": (229, 0, 0), "rose": (207, 98, 117), "salmon": (255, 121, 108),
    "scarlet": (190, 1, 25), "silver": (197, 201, 199), "tan": (209, 178, 111), "teal": (2, 147, 134),
    "turquoise": (6, 194, 172), "violet": (154, 14, 234), "white": (255, 255, 255), "yellow": (255, 255, 20),
}  # fmt: skip


def named_colour(words: str) -> Rgb | None:
    """The colour that words name, RGB; None where they name none, or several."""
    named = [word for word in re.findall(r"[a-z]+", words.lower()) if word in _COLOURS]
    return np.array(_COLOURS[named[0]], np.float32) if len(set(named)) == 1 else None
