"""Which side of a mask is its ground is told by its outermost pixels, each of which counts once."""

from __future__ import annotations

import numpy as np
import pytest

from api.codec import PillowCodec
from composition.request import MaskMode
from tests.unit.api.images import encoded

CODEC = PillowCodec(max_side_px=2048)
LEFT, RIGHT = [(row, 0) for row in range(1, 7)], [(row, 7) for row in range(1, 7)]
TOP, BOTTOM = [(0, column) for column in range(1, 7)], [(7, column) for column in range(1, 7)]
CORNERS = [(0, 0), (0, 7), (7, 0), (7, 7)]


def note_of(dark):
    """Of a light mask of 8 x 8, so with 28 outermost pixels, with these dark ones."""
    image = np.full((8, 8), 255, np.uint8)
    for row, column in dark:
        image[row, column] = 0
    return CODEC.decode_mask(encoded(image), MaskMode.AUTO).note


@pytest.mark.parametrize("dark", [CORNERS + TOP[:5], CORNERS + BOTTOM[:5], LEFT + TOP[:3], RIGHT + BOTTOM[:3]])
def test_a_light_ground_is_said_when_two_thirds_of_the_border_are_light(dark):
    assert len(dark) == 9
    assert note_of(dark).startswith("mask_image: its light part, ")


@pytest.mark.parametrize("dark", [LEFT + RIGHT[:4], RIGHT + LEFT[2:], TOP + BOTTOM[:4], LEFT + BOTTOM[:4]])
def test_it_is_not_said_when_one_pixel_more_is_dark(dark):
    assert len(dark) == 10
    assert note_of(dark) is None


def test_a_light_stroke_on_a_dark_colour_begins_at_the_middle_grey():
    values = np.zeros((30, 30, 3), np.uint8)
    values[..., 2] = 200
    values[10:20, 10:20] = 255
    values[10, 10:14] = (128, 128, 128), (127, 127, 127), (129, 129, 129), (126, 126, 126)
    reading = CODEC.decode_mask(encoded(values), MaskMode.AUTO)
    assert reading.mask[10, 9:15].tolist() == [0, 255, 0, 255, 0, 255]
