"""The judge of `benchmarks.demo_photograph_colours`, and the cheats that must fail it."""

import numpy as np

from benchmarks.demo_photograph_colours import asked_colours, judge, summary
from benchmarks.demo_photograph_things import Thing, load_things
from benchmarks.demo_photographs import load_truth
from composition.imaging.lab import to_lab, to_rgb
from demo_models.world.palette import COLOURS

SQUARE = Thing(
    photograph="p", thing="cup", recoloured=True, outline=[[[10, 10], [49, 10], [49, 49], [10, 49]]], without=[]
)
INSIDE = SQUARE.silhouette((60, 60))


def painted(rgb, light):
    """A grey photograph whose thing is of a colour under a light (60,) that grows from left to right."""
    image = np.full((60, 60, 3), 128, np.uint8)
    shaded = np.clip(np.array(rgb)[None] * light[:, None], 0, 255).astype(np.uint8)
    image[INSIDE] = np.broadcast_to(shaded, (60, 60, 3))[INSIDE]
    return image


LIGHT = np.linspace(0.6, 1.2, 60)
PHOTO = painted((180, 60, 40), LIGHT)


def test_the_colour_under_the_same_light_is_right():
    verdict = judge(SQUARE, "blue", PHOTO, painted(COLOURS["blue"], LIGHT))

    assert verdict.right
    assert verdict.after < 0.2 * verdict.before
    assert verdict.light > 0.99


def test_nothing_done_a_flat_fill_and_a_wrong_colour_fail():
    nothing, flat = (
        judge(SQUARE, "blue", PHOTO, PHOTO),
        judge(SQUARE, "blue", PHOTO, painted(COLOURS["blue"], LIGHT * 0 + 1)),
    )
    wrong = judge(SQUARE, "blue", PHOTO, painted(COLOURS["yellow"], LIGHT))

    assert (nothing.coloured, nothing.lit) == (False, True)
    assert (flat.coloured, flat.lit) == (True, False)
    assert (wrong.coloured, wrong.lit) == (False, True)


def test_a_tint_of_a_dark_thing_is_not_yellow():
    dark = painted((20, 20, 24), LIGHT)
    tinted = dark.copy()
    lab = to_lab(dark[INSIDE])
    lab[:, 1:] = to_lab(np.array(COLOURS["yellow"], np.float32)[None])[0, 1:]
    tinted[INSIDE] = to_rgb(lab)

    assert not judge(SQUARE, "yellow", dark, tinted).coloured


def test_one_level_of_one_pixel_outside_is_too_much():
    result = painted(COLOURS["blue"], LIGHT)
    result[0, 0, 2] += 1

    verdict = judge(SQUARE, "blue", PHOTO, result)
    assert verdict.strayed_px == 1
    assert not verdict.right


def test_a_thing_is_not_asked_for_the_colour_that_it_has():
    photo = painted(COLOURS["teal"], LIGHT)

    assert asked_colours(SQUARE, photo, ["teal", "red"]) == ["red"]


def test_the_summary_counts_each_part_and_all_together():
    right, flat = (judge(SQUARE, "blue", PHOTO, painted(COLOURS["blue"], light)) for light in (LIGHT, LIGHT * 0 + 1))

    assert summary([right, flat]) == "colour 2/2 light 1/2 outside 2/2 all 1/2"


def test_ten_photographs_have_a_thing_to_recolour_each_and_up_to_five_that_are_outlined():
    things, photographs = load_things(), load_truth()[0]
    names = {thing.photograph for thing in things}

    assert len(names) == 10 <= len(photographs)
    assert names <= set(photographs)
    assert sorted(thing.photograph for thing in things if thing.recoloured) == sorted(names)
    for name in names:
        assert 3 <= sum(thing.photograph == name for thing in things) <= 5


def test_every_outline_is_an_area():
    assert min(thing.silhouette((1200, 1200)).sum() for thing in load_things()) > 200


def test_of_what_a_sentence_found_a_little_may_stray_near_and_no_more():
    size = (400, 400)
    thing = Thing(
        photograph="p",
        thing="cup",
        recoloured=True,
        outline=[[[100, 100], [299, 100], [299, 299], [100, 299]]],
        without=[],
    )
    inside, light = thing.silhouette(size), np.linspace(0.6, 1.2, 400)[None, :, None]
    photo, result = np.full((*size, 3), 128, np.uint8), np.full((*size, 3), 128, np.uint8)
    for image, colour in ((photo, (180, 60, 40)), (result, COLOURS["blue"])):
        image[inside] = np.broadcast_to(np.clip(np.array(colour) * light, 0, 255), (*size, 3))[inside]
    result[90:100, 100:300] = 0
    assert judge(thing, "blue", photo, result, found=True).right
    assert not judge(thing, "blue", photo, result).right

    result[0:6, 0:300] = 0
    verdict = judge(thing, "blue", photo, result, found=True)
    assert (verdict.strayed_px, verdict.allowed_px, verdict.right) == (1800, 2000, True)
    result[390:400, 0:100] = 0
    assert not judge(thing, "blue", photo, result, found=True).right
    assert not judge(thing, "blue", photo, photo, found=True).right
