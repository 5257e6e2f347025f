"""Words for colours, as a hint."""

import numpy as np
import pytest

from composition.imaging.lab import distance, to_lab
from composition.imaging.named_colours import named_colour
from demo_models.world.palette import COLOURS


def test_every_colour_of_the_painted_world_is_named_and_is_nearest_to_itself():
    palette = {name: to_lab(np.array(rgb, np.float32)) for name, rgb in COLOURS.items()}
    for name in COLOURS:
        named = to_lab(named_colour(f"a {name} cup"))
        assert min(palette, key=lambda other: distance(named, palette[other])) == name


@pytest.mark.parametrize("words", ["a cup", "red and white stripes", "redwood table", ""])
def test_no_colour_and_several_are_none(words):
    assert named_colour(words) is None


def test_a_colour_is_found_whatever_its_case():
    assert named_colour("Navy suit").tolist() == [1, 21, 62]
