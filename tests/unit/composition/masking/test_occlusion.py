"""What stands in front of the thing that is repainted: which objects do, and what becomes of their pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from composition.images import Box
from composition.imaging.masks import dilate
from composition.masking.occlusion import in_front, kept, over
from composition.request import EditOptions, EditRequest, Keep, PipelineChoice, RefineMask
from tests.fakes.fake_analyzer import FakeAnalyzer
from tests.fakes.fake_depth_estimator import FakeDepthEstimator
from tests.fakes.fake_detector import FakeDetector, detection
from tests.fakes.fake_segmenter import FakeSegmenter, ellipse

SIZE = (300, 400)
CAR = detection("car", 40, 120, 360, 260)
PERSON = detection("person", 180, 60, 240, 280)
FAR_DOG = detection("dog", 60, 130, 120, 180)


def shape(rows, columns):
    mask = np.zeros(SIZE, np.uint8)
    mask[rows, columns] = 255
    return mask


def depths(*places):
    """Level 100, but for what stands elsewhere: pairs of a box and a level."""
    depth = np.full(SIZE, 100, np.uint8)
    for box, level in places:
        depth[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] = level
    return depth


THING = shape(slice(100, 200), slice(100, 300))
OWN = shape(slice(120, 200), slice(100, 300))
POST = shape(slice(50, 202), slice(150, 170))
"""Its foot is 2 pixels lower than the thing's, which says nothing."""


def rimmed(outline):
    """With the rim that no outline is better than: 5 pixels of a 512-pixel image."""
    return dilate(outline, 5.0 * 400 / 512)


@pytest.mark.parametrize(("level", "spared"), [(140, True), (104, True), (103, False), (100, False), (60, False)])
def test_only_what_is_nearer_stands_in_front(level, spared):
    depth = np.full(SIZE, 100, np.uint8)
    depth[POST > 0] = level
    assert in_front(THING, OWN, [POST], depth) == [0] * spared


def test_all_of_what_is_kept_is_kept_within_the_region_and_beyond():
    beside = shape(slice(90, 130), slice(250, 280))
    assert np.array_equal(kept([(POST, None)]), rimmed(POST))
    assert np.array_equal(kept([(POST, None), (beside, None)]), np.maximum(rimmed(POST), rimmed(beside)))


@pytest.mark.parametrize(("level", "spared"), [(100, True), (85, True), (84, False), (20, False)])
def test_where_depth_does_not_tell_what_interrupts_the_outline_stands_in_front(level, spared):
    """A post before a car that SAM has drawn without it; what is surely farther away is seen through a window."""
    depth = np.full(SIZE, 100, np.uint8)
    depth[POST > 0] = level
    own = np.where(POST > 0, np.uint8(0), OWN)
    assert in_front(THING, own, [POST], depth) == [0] * spared


@pytest.mark.parametrize(
    ("foot", "level", "spared"),
    [
        (215, 100, True),
        (215, 84, True),
        (204, 100, True),
        (203, 100, False),
        (180, 100, False),
        (215, 53, True),
        (215, 52, False),
    ],
)
def test_where_depth_does_not_tell_what_stands_lower_stands_in_front(foot, level, spared):
    """A chair before a sofa that SAM has drawn as going on behind it: 4 px of 512 are 3.1 here."""
    chair = shape(slice(100, foot), slice(150, 190))
    depth = np.full(SIZE, 100, np.uint8)
    depth[chair > 0] = level
    assert in_front(THING, OWN, [chair], depth) == [0] * spared


def test_who_wears_the_thing_stands_lower_and_is_not_in_front_of_it():
    """A hat and the person under it, of whom the hat is a part."""
    hat, person = shape(slice(120, 150), slice(150, 210)), shape(slice(122, 290), slice(155, 210))
    region = shape(slice(110, 160), slice(140, 220))
    assert in_front(region, hat, [person], np.full(SIZE, 100, np.uint8)) == []


@pytest.mark.parametrize(("level", "spared"), [(140, True), (116, True), (115, False), (90, False)])
def test_an_outline_that_was_drawn_over_what_is_much_nearer_holds_no_part_of_the_thing(level, spared):
    depth = np.full(SIZE, 100, np.uint8)
    chair = shape(slice(130, 200), slice(150, 190))
    depth[chair > 0] = level
    assert in_front(THING, OWN, [chair], depth) == [0] * spared


def test_what_stands_beside_the_thing_does_not_interrupt_it():
    beside = shape(slice(100, 200), slice(90, 118))
    own = shape(slice(120, 200), slice(120, 300))
    depth = np.full(SIZE, 100, np.uint8)
    assert in_front(THING, own, [beside], depth) == []
    assert in_front(THING, None, [beside], depth) == []


def test_the_thing_itself_and_what_holds_it_are_not_in_front_of_it():
    depth = np.full(SIZE, 100, np.uint8)
    depth[120:160, 100:200] = 115
    part = shape(slice(120, 160), slice(100, 200))
    assert in_front(THING, OWN, [part], depth) == [], "a part of it that juts out"
    everything = np.full(SIZE, 255, np.uint8)
    assert in_front(THING, OWN, [everything], np.full(SIZE, 255, np.uint8)) == []


@pytest.mark.parametrize(("level", "spared"), [(116, True), (115, False)])
def test_two_detectors_saw_one_thing_unless_much_of_its_outline_lies_farther_away(level, spared):
    """SAM has drawn the table as the chair before it, and some of the table."""
    chair = shape(slice(110, 200), slice(100, 220))
    depth = np.full(SIZE, 100, np.uint8)
    depth[chair > 0] = level
    own = shape(slice(120, 200), slice(100, 300))
    assert in_front(THING, own, [chair], depth) == [0] * spared
    same = shape(slice(110, 200), slice(100, 280))
    depth[same > 0] = level
    assert in_front(THING, own, [same], depth) == []


def test_of_several_objects_the_nearer_ones_are_spared():
    behind = shape(slice(90, 130), slice(250, 280))
    depth = np.full(SIZE, 100, np.uint8)
    depth[POST > 0], depth[behind > 0] = 150, 40
    assert in_front(THING, OWN, [behind, POST], depth) == [1]


def test_in_a_mask_by_hand_what_lies_within_it_is_meant():
    depth = np.full(SIZE, 100, np.uint8)
    inside, across = shape(slice(110, 190), slice(120, 160)), shape(slice(20, 190), slice(200, 230))
    depth[(inside > 0) | (across > 0)] = 180
    assert in_front(THING, None, [inside, across], depth) == [1]


def test_objects_that_hardly_reach_into_the_region_are_not_asked_about():
    away, touching = detection("dog", 310, 0, 390, 300), detection("cat", 298, 100, 390, 150)
    car = detection("car", 100, 100, 300, 200)
    assert over(THING, [car], [away, touching, PERSON]) == (PERSON,)
    outside, same = detection("kite", -50, -50, -10, -10), detection("truck", 90, 95, 300, 210)
    assert over(THING, [car], [outside, same]) == ()


def test_in_a_mask_by_hand_objects_that_lie_within_it_are_not_asked_about():
    within = detection("cup", 120, 120, 160, 180)
    assert over(THING, [], [within, PERSON]) == (PERSON,)


def request(photo, prompt="replace the car with a truck", **fields):
    options = {"seed": 7, "num_inference_steps": 2, "keep_surroundings": Keep.OFF, **fields.pop("options", {})}
    return EditRequest(base=photo, prompt=prompt, options=EditOptions(**options), **fields)


def street(bench, *, level=160, objects=(CAR, PERSON), **fakes):
    return bench(
        analyzer=FakeAnalyzer(objects=list(objects)),
        detector=FakeDetector({"car": [CAR]}),
        depth=FakeDepthEstimator(depths((PERSON.box, level), (FAR_DOG.box, 20))),
        **fakes,
    )


def changed(photo, image):
    return (photo != image).any(axis=2)


async def test_who_stands_before_the_car_is_untouched_and_the_rest_of_its_box_is_not(bench, photo):
    b = street(bench)
    result = await b.edit(request(photo))
    person = ellipse(PERSON.box, SIZE) > 0
    assert not changed(photo, result.image)[person].any()
    around = np.zeros(SIZE, bool)
    around[130:250, 60:170] = around[130:250, 250:340] = True
    assert changed(photo, result.image)[around].mean() > 0.95
    (sent,) = b.diffuser.requests
    assert 0 < result.metadata["kept"]["in_front"] < 0.5
    assert "depth-anything" in result.models_used
    assert sent.mask.any()


@pytest.mark.parametrize("options", [{}, {"pipeline": PipelineChoice.SIMPLE}], ids=["poses known", "poses asked"])
async def test_limbs_that_the_outline_of_who_stands_before_the_car_lacks_are_kept_too(bench, photo, options):
    class Legless(FakeSegmenter):
        """Draws nothing below row 200: both shins of the person are left out, and the car's lower half."""

        async def segment(self, image, detections):
            drawn = await super().segment(image, detections)
            return replace(drawn, masks=tuple(np.where(np.mgrid[:300, :400][0] < 200, mask, 0) for mask in drawn))

    b = street(bench, segmenter=Legless())
    result = await b.edit(request(photo, options=options))
    (left, right) = (int(PERSON.box.x0 + share * 60) for share in (0.4, 0.6))
    assert not changed(photo, result.image)[230:255, [left, right]].any()
    assert b.pose.calls == 1
    assert "dwpose" in result.models_used


async def test_of_a_thing_in_front_no_pose_is_asked(bench, photo):
    dog = detection("dog", *(getattr(PERSON.box, side) for side in ("x0", "y0", "x1", "y1")))
    b = street(bench, objects=(CAR, dog))
    result = await b.edit(request(photo))
    assert result.metadata["kept"]["in_front"] > 0
    assert (b.pose.calls, "dwpose" in result.models_used) == (0, False)


async def test_who_stands_behind_it_is_painted_over(bench, photo):
    b = street(bench, level=30)
    result = await b.edit(request(photo))
    inside = (ellipse(PERSON.box, SIZE) > 0)[130:250]
    assert changed(photo, result.image)[130:250][inside].mean() > 0.95
    assert "in_front" not in result.metadata["kept"]


async def test_off_repaints_all_of_the_box(bench, photo):
    b = street(bench)
    result = await b.edit(request(photo, options={"occlusion": Keep.OFF}))
    inside = (ellipse(PERSON.box, SIZE) > 0)[130:250]
    assert changed(photo, result.image)[130:250][inside].mean() > 0.95
    assert "in_front" not in result.metadata["kept"]


async def test_a_mask_by_hand_spares_it_too_and_says_so(bench, photo):
    mask = np.zeros(SIZE, np.uint8)
    mask[120:260, 40:360] = 255
    b = street(bench)
    result = await b.edit(request(photo, mask=mask))
    assert not changed(photo, result.image)[ellipse(PERSON.box, SIZE) > 0].any()
    assert any("in front" in warning and "occlusion" in warning for warning in result.metadata["warnings"])
    free = await street(bench).edit(request(photo, mask=mask, options={"occlusion": Keep.OFF}))
    assert not any("in front" in warning for warning in free.metadata["warnings"])


@pytest.mark.parametrize(
    ("prompt", "options"),
    [
        ("make the car red", {}),
        ("put a dog next to the car", {}),
        ("replace the car with a truck", {"objects": (CAR,)}),
    ],
)
async def test_depth_is_not_estimated_for_what_nothing_can_hide(bench, photo, prompt, options):
    b = street(bench, **options)
    await b.edit(request(photo, prompt, options={"controlnet_conditioning_scale": 0.0}))
    assert b.depth.calls == 0


async def test_an_outline_that_grows_is_held_back_too(bench, photo):
    b = street(bench, segmenter=FakeSegmenter())
    result = await b.edit(request(photo, options={"refine_mask": RefineMask.ON}))
    assert not changed(photo, result.image)[ellipse(PERSON.box, SIZE) > 0].any()


async def test_an_analysis_shows_the_same_mask(bench, photo):
    b = street(bench)
    edited, analysed = await b.edit(request(photo)), await street(bench).editor.analyze(request(photo), request_id="a")
    assert np.array_equal(edited.mask, analysed.mask)
    assert isinstance(PERSON.box, Box)
