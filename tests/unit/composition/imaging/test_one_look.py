"""One colour of a thing in several photographs, each under its own light."""

from __future__ import annotations

import numpy as np
import pytest

from composition.imaging.lab import to_lab
from composition.imaging.one_look import Surface, common_colours, recoloured, surface_of

RED = np.array([200.0, 40.0, 40.0], np.float32)


def surface(colour, brightness=120.0):
    return Surface(colour=np.asarray(colour, np.float32), brightness=brightness)


def test_under_equal_light_all_get_the_median():
    colours = common_colours([surface(RED), surface(RED - 20), surface(RED - 30)])
    assert [colour.tolist() for colour in colours] == [(RED - 20).tolist()] * 3


def test_brightness_that_differs_a_little_is_no_light():
    one, other = common_colours([surface(RED, 110), surface(RED - 10, 130)])
    assert np.allclose(one, other)


def test_a_photograph_in_the_shade_keeps_its_shade():
    sun, shade = common_colours([surface(RED, 200), surface(RED / 2, 60)])
    assert sun.sum() > 1.8 * shade.sum()


def test_light_is_believed_within_reason_and_black_breaks_nothing():
    one, other = common_colours([surface(RED, 255), surface(RED, 0)])
    assert 1.0 < one.sum() / other.sum() <= 4.0
    assert np.isfinite(one).all()


@pytest.mark.parametrize("surfaces", [[surface(RED), None], [None, None], []])
def test_where_fewer_than_two_are_known_nothing_is_said(surfaces):
    assert common_colours(surfaces) == [None] * len(surfaces)


def test_one_that_is_not_known_is_left_out():
    one, nothing, other = common_colours([surface(RED), None, surface(RED - 20)])
    assert nothing is None
    assert np.allclose(one, RED - 10)
    assert np.allclose(one, other)


def test_a_surface_is_what_has_changed_of_the_thing():
    photo = np.full((60, 80, 3), 90, np.uint8)
    thing = np.zeros((60, 80), np.uint8)
    thing[10:50, 10:70] = 255
    painted = photo.copy()
    painted[10:50, 10:50] = RED  # the rest of the thing, a window, stays
    painted[:5] = (0, 255, 0)  # and what lies outside does not count
    found = surface_of(painted, photo, thing)
    assert np.allclose(found.colour, RED)
    assert found.brightness == pytest.approx(90, abs=0.1)
    assert surface_of(photo, photo, thing) is None


def test_a_colour_is_moved_with_its_shades_and_neither_the_dark_nor_another_hue():
    image = np.zeros((1, 4, 3), np.uint8)
    image[0] = [RED, RED * 0.6, (10, 10, 10), (30, 60, 200)]
    wanted = np.array([230.0, 60.0, 50.0], np.float32)
    moved = recoloured(image, RED, wanted)
    assert np.abs(moved[0, 0] - wanted).max() <= 2
    assert to_lab(moved)[0, 1, 0] > to_lab(image)[0, 1, 0]
    assert np.abs(moved[0, 2].astype(int) - 10).max() <= 12
    assert np.abs(moved[0, 3].astype(int) - image[0, 3]).max() <= 8
