"""Two colours in sharp and long borders are a pattern; light, seams and parts are none."""

from __future__ import annotations

import numpy as np
import pytest

from composition.imaging.pattern import Pattern

SIZE, SIGMA_PX = 120, 5.0
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE]
THING = (abs(ROWS - 60) < 50) & (abs(COLUMNS - 60) < 50)
LIGHT = 1.2 - 0.5 * COLUMNS / SIZE
CHECKS, STRIPES = (ROWS // 9 + COLUMNS // 9) % 2 == 0, (ROWS + COLUMNS) // 12 % 2 == 0
WHITE, BLACK, RED, GREY = (225, 225, 220), (40, 40, 44), (190, 40, 45), (140, 140, 144)


def seen(colours, second, light=LIGHT):
    """A thing of two colours, where the second is told, under light; grey around it."""
    image = np.full((SIZE, SIZE, 3), 120.0)
    both = np.where(second[..., None], np.array(colours[1], float), np.array(colours[0], float))
    image[THING] = (both * light[..., None])[THING]
    return np.clip(image, 0, 255).astype(np.float32)


@pytest.mark.parametrize("colours", [(WHITE, BLACK), (RED, GREY), (WHITE, RED), (BLACK, GREY)])
@pytest.mark.parametrize("second", [CHECKS, STRIPES])
def test_a_pattern_is_found_and_what_is_left_without_it_is_light_alone(colours, second):
    photo = seen(colours, second)
    pattern = Pattern.of(photo, THING, SIGMA_PX)
    even = pattern.evened(photo, THING, np.array((30, 60, 200), np.float32))
    inside = (abs(ROWS - 60) < 44) & (abs(COLUMNS - 60) < 44)
    factor = even[inside].mean(axis=1) / LIGHT[inside]
    assert factor.std() < 0.06 * factor.mean(), "it is of one colour"
    assert np.array_equal(even[~THING], photo[~THING])


def test_it_becomes_of_that_colour_which_the_new_one_is_less_like():
    photo = seen((WHITE, RED), CHECKS)
    pattern = Pattern.of(photo, THING, SIGMA_PX)
    whitened, reddened = (
        pattern.evened(photo, THING, np.array(new, np.float32))[60, 60] / LIGHT[60, 60] for new in (RED, WHITE)
    )
    assert np.abs(whitened - WHITE).max() < 20
    assert np.abs(reddened - RED).max() < 20


def test_two_sides_in_different_light_folds_and_a_zip_are_no_pattern():
    plain = np.zeros((SIZE, SIZE), bool)
    two_sides = np.where(ROWS < 60, 1.2, 0.7)
    folds = 0.9 + 0.25 * np.sin(COLUMNS / 3.0)
    sharp_folds = np.where(COLUMNS // 8 % 2 == 0, 1.0, 0.7)
    for light in (LIGHT, two_sides, folds, sharp_folds):
        assert Pattern.of(seen((RED, RED), plain, light), THING, SIGMA_PX) is None
    assert Pattern.of(seen((RED, BLACK), abs(COLUMNS - 60) < 3), THING, SIGMA_PX) is None


def test_a_thing_with_parts_of_many_colours_has_none():
    image = seen((RED, BLACK), np.zeros((SIZE, SIZE), bool))
    for number, colour in enumerate([(30, 60, 200), WHITE, (40, 150, 60), (20, 20, 20), (240, 200, 40)]):
        image[(abs(ROWS - 30 - 15 * number) < 6) & (abs(COLUMNS - 60) < 45)] = colour
    assert Pattern.of(image, THING, SIGMA_PX) is None


def test_what_has_one_of_the_colours_and_lies_far_from_the_other_is_no_part_of_it():
    """Legs that are white, below a seat in red and white."""
    photo = seen((WHITE, RED), CHECKS)
    photo[60:, :] = 120.0
    leg = (ROWS >= 80) & (COLUMNS > 30) & (COLUMNS < 42)
    photo[leg] = np.array(WHITE, np.float32)
    thing = (THING & (ROWS < 60)) | leg
    pattern = Pattern.of(photo, THING & (ROWS < 60), SIGMA_PX)
    even = pattern.evened(photo, thing, np.array(WHITE, np.float32))
    far = leg & (ROWS >= 95)
    assert np.array_equal(even[far], photo[far])
    assert np.abs(even[30, 60] - photo[30, 60]).max() > 50 or np.abs(even[30, 69] - photo[30, 69]).max() > 50


def test_nothing_is_no_pattern():
    assert Pattern.of(seen((WHITE, RED), CHECKS), np.zeros((SIZE, SIZE), bool), SIGMA_PX) is None


@pytest.mark.parametrize("colours", [((0, 0, 0), (255, 255, 255)), ((0, 0, 0), (180, 0, 0))])
@pytest.mark.parametrize("new", [(0, 0, 0), (255, 255, 255), (30, 60, 200)])
def test_black_without_any_light_and_white_without_room_are_colours_too(colours, new):
    photo = seen(colours, CHECKS, np.ones((SIZE, SIZE)))
    even = Pattern.of(photo, THING, SIGMA_PX).evened(photo, THING, np.array(new, np.float32))
    inside = (abs(ROWS - 60) < 44) & (abs(COLUMNS - 60) < 44)
    assert np.isfinite(even).all()
    assert 0 <= even.min() <= even.max() <= 255
    assert np.abs(even[inside] - np.median(even[inside], axis=0)).max() < 30
