"""The new colour of the model under the photograph's own light; parts of another material as photographed."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from composition.imaging.keeping import Carried, keep
from composition.imaging.lab import distance, to_lab
from composition.imaging.masks import solid

SIZE = 256
RED, BLUE, YELLOW, BLACK = ((200, 40, 40), (40, 70, 190), (235, 200, 50), (36, 36, 40))


def disc(x, y, radius, size):
    rows, columns = np.mgrid[:size, :size] * SIZE / size
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


class Car:
    """A body in a colour, with a window, two tyres and a rim in each; light falls on all of it from above."""

    def __init__(self, colour, size=SIZE, pattern=None):
        rows, columns = np.mgrid[:size, :size] * SIZE / size
        self.thing = (columns >= 40) & (columns < 216) & (rows >= 80) & (rows < 180)
        self.window = (columns >= 80) & (columns < 150) & (rows >= 90) & (rows < 120)
        tyres = [disc(x, 160, 22, size) for x in (75, 181)]
        rims = [disc(x, 160, 13, size) for x in (75, 181)]
        self.tyre, self.rim = np.any(tyres, axis=0), np.any(rims, axis=0)
        self.thing |= self.tyre
        self.tyre &= ~self.rim
        self.body = self.thing & ~(self.window | self.tyre | self.rim)
        self.near_parts = np.any([disc(x, 160, 30, size) for x in (75, 181)], axis=0)
        light = 1.15 - 0.5 * (rows - 80) / 100 + 0.06 * np.sin(columns * 2.1)
        image = np.full((size, size, 3), (120.0, 125.0, 128.0))
        paint = np.broadcast_to(np.array(colour, float), image.shape)
        if pattern is not None:
            paint = np.where((((rows // 6) + (columns // 6)) % 2 == 0)[..., None], paint, np.array(pattern, float))
        image[self.body] = (paint * light[..., None])[self.body]
        image[self.window], image[self.tyre], image[self.rim] = (104, 130, 152), (36, 36, 39), (205, 165, 70)
        self.image = np.clip(np.rint(image), 0, 255).astype(np.uint8)

    @property
    def mask(self):
        return np.where(self.thing, np.uint8(255), np.uint8(0))


def smeared(image, haze=0):
    """What a model and its autoencoder make of a true image."""
    return np.clip(cv2.GaussianBlur(image, (0, 0), 3.0 * image.shape[0] / SIZE).astype(int) + haze, 0, 255).astype(
        np.uint8
    )


def off(one, other, where):
    return float(distance(to_lab(one), to_lab(other))[where].mean())


def well_inside(where):
    return cv2.erode(where.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0


@pytest.mark.parametrize(("before", "after"), [(RED, BLUE), (BLUE, YELLOW), (RED, BLACK), (BLACK, YELLOW)])
def test_a_recoloured_body_has_the_photographs_light_and_its_parts_stay(before, after):
    car, truth = Car(before), Car(after)
    kept = keep(smeared(truth.image), car.image, car.mask)
    assert off(kept.image, truth.image, car.body) < 0.6 * off(smeared(truth.image), truth.image, car.body)
    for part in (car.window, car.rim, car.tyre):
        assert off(kept.image, car.image, part) < 5.0
    share = (car.window | car.tyre | car.rim).sum() / car.thing.sum()
    assert (kept.light, kept.parts) == (1.0, pytest.approx(share, abs=0.1))


def reshaped(before, truth, roof, bonnet):
    """A model that paints the thing lower, with a smear of what is behind it above, and leaves its front as it was."""
    painted = smeared(truth.image)
    painted[roof] = (128, 132, 140)
    painted[bonnet] = before.image[bonnet]
    return painted


def test_what_the_model_painted_something_else_over_takes_the_new_colour_with_all_of_its_hue():
    car, truth = Car(RED), Car(BLUE)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    roof, bonnet = car.body & (rows < 96), car.body & (columns >= 160) & (rows >= 96)
    kept = keep(reshaped(car, truth, roof, bonnet), car.image, car.mask).image
    assert off(kept, truth.image, well_inside(roof)) < 0.25 * off(kept, car.image, well_inside(roof))
    assert off(kept, car.image, well_inside(bonnet & (columns >= 190))) < 8.0


@pytest.mark.parametrize("colour", [(128, 128, 132), (235, 235, 230)])
def test_what_the_model_painted_something_else_over_is_of_the_grey_material_that_is_next_to_it(colour):
    car, truth = Car(colour), Car(BLUE)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    roof, next_to_body = car.body & (rows < 96), (columns < 76) | (columns > 155)
    painted = smeared(truth.image)
    painted[roof] = (225, 205, 160)
    kept = keep(painted, car.image, car.mask)
    seen = well_inside(roof & next_to_body)
    assert off(kept.image, truth.image, seen) < 0.5 * off(car.image, truth.image, seen)
    for part in (car.window, car.rim, car.tyre):
        assert off(kept.image, car.image, part) < 5.0


def test_the_fine_light_that_the_model_lost_comes_back():
    car, truth = Car(RED), Car(BLUE)
    kept = keep(smeared(truth.image), car.image, car.mask).image
    row = np.s_[130, 100:150, 2]
    waves = [
        image[row].astype(float) - cv2.blur(image[row].astype(float), (1, 9))[:, 0] for image in (kept, truth.image)
    ]
    assert np.corrcoef(waves[0], waves[1])[0, 1] > 0.9


def test_rims_stay_where_the_model_painted_the_whole_wheel_in_the_new_colour():
    car, truth = Car(RED), Car(BLACK)
    painted = truth.image.copy()
    painted[car.rim] = BLACK
    kept = keep(smeared(painted), car.image, car.mask).image
    assert off(kept, car.image, well_inside(car.rim)) < 5.0


def test_parts_take_the_new_colour_where_they_are_not_to_be_kept():
    car = Car(RED)
    painted = smeared(Car(BLUE).image)
    kept = keep(painted, car.image, car.mask, parts=False)
    assert off(kept.image, car.image, car.window) > 15.0
    assert kept.parts == 0.0


@pytest.mark.parametrize(
    ("colour", "pattern", "after"),
    [((200, 200, 200), BLACK, BLUE), (RED, (230, 230, 225), BLACK), (YELLOW, BLUE, (130, 130, 134))],
)
def test_a_pattern_that_the_model_painted_over_is_gone_and_the_photographs_light_is_still_there(colour, pattern, after):
    car, truth = Car(colour, pattern=pattern), Car(after)
    kept = keep(smeared(truth.image), car.image, car.mask)
    body = cv2.erode((car.body & ~car.near_parts).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert kept.material.patterned
    assert off(kept.image, truth.image, body) < 8.0
    lightness = [to_lab(image)[..., 0][body] for image in (kept.image, truth.image)]
    assert np.corrcoef(*lightness)[0, 1] > 0.8
    for part in (car.window, car.rim):
        assert off(kept.image, car.image, well_inside(part)) < 8.0


def test_a_pattern_that_the_model_painted_again_stays():
    car, truth = Car((200, 200, 200), pattern=BLACK), Car(RED, pattern=BLACK)
    kept = keep(truth.image, car.image, car.mask)
    contrast = [to_lab(image[125:150, 100:150])[..., 0].std() for image in (kept.image, truth.image)]
    assert contrast[0] > 0.6 * contrast[1]


def test_of_a_clip_the_first_frame_says_whether_a_pattern_goes():
    car, truth = Car((200, 200, 200), pattern=BLACK), Car(BLUE)
    before = carried(car)
    painted = smeared(truth.image)
    gone, stays = (
        keep(painted, car.image, car.mask, before=replace(before, material=replace(before.material, patterned=was)))
        for was in (True, False)
    )
    assert to_lab(gone.image[125:150, 100:150])[..., 0].std() < 4.0
    assert to_lab(stays.image[125:150, 100:150])[..., 0].std() > 8.0


def test_around_the_thing_the_photograph_stays_bit_by_bit_whatever_haze_the_model_lays_on_it():
    car = Car(RED)
    kept = keep(smeared(Car(BLUE).image, haze=5), car.image, car.mask).image
    around = (cv2.dilate(car.mask, np.ones((13, 13), np.uint8)) > 0) & (
        cv2.dilate(car.mask, np.ones((7, 7), np.uint8)) == 0
    )
    assert np.array_equal(kept[around], car.image[around])


def test_a_speck_that_looks_like_the_material_stays_as_photographed_and_a_piece_of_it_does_not():
    car, truth = Car(RED), Car(BLUE)
    speck, piece = (slice(95, 99), slice(100, 104)), (slice(95, 115), slice(90, 145))
    for part, kept in ((speck, True), (piece, False)):
        photo, painted = car.image.copy(), truth.image.copy()
        photo[part], painted[part] = RED, BLUE
        image = keep(painted, photo, car.mask).image
        assert np.array_equal(image[part], photo[part]) is kept
        assert off(image, truth.image, well_inside(car.body)) < 8


def test_the_edges_of_a_large_photograph_are_its_own():
    size = 1024
    car, truth = Car(RED, size), Car(BLUE, size)
    kept = keep(smeared(truth.image), car.image, car.mask).image
    assert off(kept, truth.image, car.body) < 0.6 * off(smeared(truth.image), truth.image, car.body)
    assert off(kept, car.image, car.window) < 3.0


def test_a_look_of_three_colours_stays_as_the_model_painted_it():
    car = Car((200, 200, 200))
    painted = car.image.copy()
    for left, colour in ((40, RED), (100, YELLOW), (160, BLUE)):
        painted[80:180, left : left + 60][car.body[80:180, left : left + 60]] = colour
    painted = smeared(painted)
    kept = keep(painted, car.image, car.mask)
    assert np.array_equal(kept.image, painted)
    assert (kept.light, kept.parts) == (0.0, 0.0)


def test_a_new_surface_is_the_models_and_the_parts_are_the_photographs():
    car = Car(RED)
    painted = smeared(Car((230, 228, 225), pattern=(190, 188, 190)).image)
    kept = keep(painted, car.image, car.mask, surface=True)
    middle = well_inside(well_inside(well_inside(car.body)))
    assert np.abs(kept.image.astype(int) - painted)[middle].mean() < 2
    for part in (car.window, car.rim, well_inside(car.tyre)):
        assert off(kept.image, car.image, part) < 10.0
    assert kept.light == 0.0


def test_a_model_that_changed_nothing_changes_nothing():
    car = Car(RED)
    kept = keep(car.image, car.image, car.mask).image
    assert np.abs(kept.astype(int) - car.image).max() <= 2


def test_nothing_is_kept_without_a_thing():
    car = Car(RED)
    painted = smeared(Car(BLUE).image)
    kept = keep(painted, car.image, np.zeros((SIZE, SIZE), np.uint8))
    assert np.array_equal(kept.image, painted)
    assert (kept.light, kept.parts) == (0.0, 0.0)


def test_the_same_images_give_the_same_result():
    car = Car(BLUE)
    painted = smeared(Car(YELLOW).image)
    assert np.array_equal(keep(painted, car.image, car.mask).image, keep(painted, car.image, car.mask).image)


def test_an_outline_loses_its_specks_and_pinholes_and_keeps_its_pieces_and_openings():
    outline = np.zeros((100, 100), np.uint8)
    outline[10:60, 10:60], outline[70:90, 70:90] = 255, 255
    outline[20:50, 20:50], outline[52:56, 52:56] = 0, 0
    outline[2:5, 90:95] = 255
    cleaned = solid(outline)
    assert cleaned[80, 80] == 255, "a second piece of a quarter of the size"
    assert cleaned[3, 92] == 0, "a speck"
    assert cleaned[53, 53] == 255, "a pinhole"
    assert cleaned[30, 30] == 0, "an opening"
    assert np.array_equal(solid(np.zeros_like(outline)), np.zeros_like(outline))


def carried(frame, sure=255):
    """What a frame before that was painted as it should be says of one that shows the same."""
    material = keep(smeared(Car(BLUE).image), frame.image, frame.mask).material
    return Carried(material=material, sure=np.full(frame.thing.shape, sure, np.uint8))


def test_the_material_is_told_and_is_nothing_beyond_the_thing():
    car = Car(RED)
    material = keep(smeared(Car(BLUE).image), car.image, car.mask).material
    assert material.share[well_inside(car.body)].mean() > 240
    assert material.share[well_inside(car.window)].mean() < 30
    assert material.share[:40].max() == 0
    assert not material.patterned


def test_a_part_that_the_frame_before_changed_is_changed_where_the_model_forgot_it_and_where_that_is_sure():
    car, truth = Car(RED), Car(BLUE)
    bonnet = well_inside(car.body) & (np.arange(SIZE) > 190)
    painted = truth.image.copy()
    painted[:, 185:] = car.image[:, 185:]
    alone, unsure, sure = (
        keep(smeared(painted), car.image, car.mask, before=before)
        for before in (None, carried(car, sure=0), carried(car))
    )
    assert off(alone.image, truth.image, bonnet) > 40.0
    assert off(unsure.image, alone.image, bonnet) < 2.0
    assert off(sure.image, truth.image, bonnet) < 0.3 * off(alone.image, truth.image, bonnet)


def test_a_frame_of_which_nothing_can_be_told_becomes_what_the_one_before_was():
    car, truth = Car(RED), Car(BLUE)
    left_as_it_was = keep(car.image, car.image, car.mask, before=carried(car))
    assert off(left_as_it_was.image, truth.image, well_inside(car.body)) < 8.0
    assert off(left_as_it_was.image, car.image, well_inside(car.window)) < 5.0


def test_under_the_photographs_light_a_frame_is_as_bright_as_what_that_falls_on():
    white, truth = Car((245, 245, 240)), Car((40, 120, 125))
    dark = carried(white)
    dark = replace(dark, material=replace(dark.material, colour=np.array((40, 120, 125), np.float32), brightness=80.0))
    checked, plain = (replace(dark, material=replace(dark.material, patterned=was)) for was in (True, False))
    body = well_inside(white.body)
    told, glaring = (keep(smeared(truth.image), white.image, white.mask, before=one) for one in (checked, plain))

    assert off(told.image, truth.image, body) < 10
    assert off(glaring.image, truth.image, body) > 30, "at 80 of 255 white would be glare"


@pytest.mark.parametrize("colour", [(30, 50, 150), (60, 90, 230)])
def test_a_frame_that_is_painted_in_another_shade_gets_that_of_the_one_before(colour):
    car, truth = Car(RED), Car(BLUE)
    other = smeared(Car(colour).image)
    alone, after = (keep(other, car.image, car.mask, before=before) for before in (None, carried(car)))
    body = well_inside(car.body)
    assert off(alone.image, truth.image, body) > 6.0
    assert off(after.image, truth.image, body) < 3.0
    assert np.array_equal(after.material.colour, carried(car).material.colour)


def half_known(car, after):
    """A model that does not know the thing: the new colour on its left, skin on its right, over window and tyres."""
    image = Car(after).image.copy()
    right = np.arange(SIZE)[None] >= 110
    image[car.thing & right] = (205, 165, 135)
    image[car.window & ~right] = (90, 120, 150)
    return smeared(image)


@pytest.mark.parametrize(("before", "after"), [(RED, BLUE), (BLUE, YELLOW), (BLACK, YELLOW)])
def test_in_a_drawn_outline_what_is_alike_takes_the_colour_though_the_model_painted_it_on_a_part(before, after):
    car, truth = Car(before), Car(after)
    painted = half_known(car, after)
    body = well_inside(car.body)

    believed = keep(painted, car.image, car.mask, asked=np.array(after, np.float32))
    kept = keep(painted, car.image, car.mask, drawn=True, asked=np.array(after, np.float32))

    right = body & (np.arange(SIZE)[None] >= 130)
    assert off(believed.image, truth.image, right) > 30
    assert off(kept.image, truth.image, body) < 14
    assert off(kept.image, car.image, well_inside(car.rim)) < 6 or before == BLACK
    light = [to_lab(image)[..., 0][body] for image in (car.image, kept.image)]
    assert np.corrcoef(*light)[0, 1] > 0.9


def test_the_asked_colour_is_found_among_others_that_the_model_painted_more_of():
    car = Car(RED)
    painted = half_known(car, BLUE)
    most = keep(painted, car.image, car.mask, drawn=True)
    asked = keep(painted, car.image, car.mask, drawn=True, asked=np.array((3, 67, 223), np.float32))
    body = well_inside(car.body)

    assert off(asked.image, Car(BLUE).image, body) < 14
    assert off(most.image, Car(BLUE).image, body) > 40


@pytest.mark.parametrize(("known", "weight"), [(False, 1.0), (True, 0.3)])
def test_of_an_unknown_image_the_colour_is_what_was_painted_nearest_to_the_asked_one_else_the_mean(known, weight):
    car, pale, columns = Car(RED), np.array((40, 70, 176), float), np.arange(SIZE)[None]
    painted = car.image.copy()
    for left, right, colour in ((40, 90, BLUE), (90, 216, pale)):
        painted[car.body & (columns >= left) & (columns < right)] = colour
    kept = keep(painted, car.image, car.mask, drawn=True, asked=np.array(BLUE, np.float32), known=known)

    expected = weight * np.array(BLUE, float) + (1 - weight) * pale
    assert np.abs(kept.material.colour - expected).max() < 3.0


def test_a_colour_that_the_model_has_not_painted_is_not_made_up():
    car = Car(RED)
    kept = keep(half_known(car, BLUE), car.image, car.mask, drawn=True, asked=np.array((21, 176, 26), np.float32))
    hue = to_lab(kept.image)[car.body][:, 1:].mean(axis=0)

    assert hue[0] > -5, "nothing is green"


def test_black_cloth_in_a_bright_colour_has_shades_and_no_glare():
    car = Car(BLACK)
    kept = keep(half_known(car, YELLOW), car.image, car.mask, drawn=True, asked=np.array(YELLOW, np.float32))
    lightness = to_lab(kept.image)[..., 0][well_inside(car.body)]

    assert 3 < lightness.std() < 20
    assert (lightness > 97).mean() < 0.02


def test_colours_that_only_the_surroundings_have_do_no_harm():
    image = np.full((120, 120, 3), 255, np.uint8)
    thing = np.zeros((120, 120), np.uint8)
    thing[40:80, 40:80] = 255
    image[30:90, 30:90] = 0
    painted = image.copy()
    painted[40:80, 40:80] = BLUE
    kept = keep(painted, image, thing, drawn=True, asked=np.array(BLUE, np.float32))

    assert off(kept.image, painted, well_inside(thing > 0)) < 5
    assert np.array_equal(kept.image[thing == 0], image[thing == 0])
