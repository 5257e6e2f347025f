"""The parts of an edit's mask and how they lie to one another; sizes in pixels of an image of 300 x 400."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from composition.config import Config
from composition.decision import BodyRegion, Decision, Pipeline, Position, Target
from composition.errors import EmptyMask, NoDetection
from composition.images import Box
from composition.journal import Journal
from composition.masking.edit_mask import make_edit_mask
from composition.masking.region import Scene
from composition.pipelines.planning import make_plan
from composition.request import Crop, EditOptions, EditRequest, MaskFeather, OnNoDetection, RefineMask
from tests.fakes.fake_detector import detection
from tests.fakes.fake_pose_estimator import upright_pose
from tests.fakes.fake_segmenter import FakeSegmenter, ellipse

MUG = detection("mug", 120, 80, 220, 200)
PERSON = detection("person", 100, 10, 300, 290)
SIZE = (300, 400)
FACE, HAND = (200, 38), (148, 150)


def plan_for(target, image, *, keeps_shape, options):
    decision = Decision(
        pipeline=Pipeline.SIMPLE,
        rule="default",
        reason="",
        target=target,
        generation_prompt="",
        keeps_shape=keeps_shape,
    )
    return make_plan(EditRequest(base=image, prompt="", options=EditOptions(**options)), decision, Config())


async def mask_of(target, *, found=(), tiles=1, journal=None, keeps_shape=False, options=None, **known):
    image = np.zeros((SIZE[0] * tiles, SIZE[1] * tiles, 3), np.uint8)
    plan = plan_for(target, image, keeps_shape=keeps_shape, options=options or {})
    scene = Scene(image=image, found=found, **known)
    journal = journal or Journal(listener=lambda _: None)
    return await make_edit_mask(scene, plan, segmenter=FakeSegmenter(), native_size=256, journal=journal)


def extent(mask):
    """x0, y0, x1, y1 of what is not 0."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


async def test_a_thing_is_repainted_with_room_and_blended_with_a_rim_in_that_room():
    made = await mask_of(Target(phrase="mug"), found=[MUG])
    assert extent(made.thing) == (120, 80, 220, 200)
    assert extent(made.repaint) == (109, 69, 231, 211), "15 px of a 512-pixel image"
    assert extent(made.alpha) == extent(made.repaint), "the rim ends with the dilation"
    assert (made.alpha[made.thing > 0] == 255).all()
    assert 0 < made.alpha[140, 110] < 60
    assert (made.exact, made.outlined, made.protected, made.detections) == (False, False, None, (MUG,))


async def test_outwards_a_thing_is_blended_with_a_rim_outside_of_its_room():
    made = await mask_of(Target(phrase="mug"), found=[MUG], options={"mask_feather": MaskFeather.OUT})
    assert (made.alpha[made.repaint > 0] == 255).all()
    x0, y0, x1, y1 = extent(made.alpha)
    assert {109 - x0, 69 - y0, x1 - 231, y1 - 211} <= set(range(1, 9)), "a kernel of 21 px has a radius of 8 here"
    assert np.array_equal(made.alpha, made.reach)


@pytest.mark.parametrize("dilation_px", [0, 4, 30])
async def test_a_thing_is_repainted_fully_however_little_it_is_dilated(dilation_px):
    made = await mask_of(Target(phrase="mug"), found=[MUG], options={"mask_dilation_px": dilation_px})
    assert (made.alpha[made.thing > 0] == 255).all()


async def test_a_users_mask_is_cut_at_the_middle_grey_feathered_and_not_dilated():
    drawn = np.zeros(SIZE, np.uint8)
    drawn[100:140, 100:160], drawn[0:20, 0:20] = 200, 100
    made = await mask_of(Target(phrase="mug"), found=[MUG], user_mask=drawn)
    assert extent(made.thing) == extent(made.repaint) == (100, 100, 160, 140)
    assert set(np.unique(made.repaint)) == {0, 255}
    assert extent(made.alpha) == (100, 100, 160, 140)
    assert made.alpha[120, 130] == 255
    assert 0 < made.alpha[120, 101] < 60
    assert (made.exact, made.outlined, made.detections) == (True, False, ())


async def test_what_keeps_its_outline_is_repainted_wide_and_blended_in_close():
    made = await mask_of(Target(phrase="mug"), found=[MUG], keeps_shape=True)
    assert made.outlined
    assert np.array_equal(made.thing, ellipse(MUG.box, SIZE))
    assert extent(made.repaint)[0] == 109
    assert extent(made.alpha)[0] in range(112, 118), "3 px dilated and 10 px feathered, of a 512-pixel image"
    assert extent(made.reach)[0] < 109, "colours are compared outside of all that the model repainted"


async def test_an_outline_is_never_wider_than_the_request_says():
    made = await mask_of(
        Target(phrase="mug"), found=[MUG], keeps_shape=True, options={"mask_dilation_px": 0, "mask_blur_px": 0}
    )
    assert np.array_equal(made.alpha, made.thing)


async def test_the_complement_of_a_recoloured_thing_is_outlined_too():
    made = await mask_of(Target(phrase="background", complement=True), found=[PERSON], keeps_shape=True)
    assert np.array_equal(made.thing, 255 - ellipse(PERSON.box, SIZE))
    assert made.outlined


async def test_face_and_hands_are_neither_repainted_nor_blended_however_far_the_mask_grows():
    jacket = detection("jacket", 110, 10, 290, 280)
    made = await mask_of(
        Target(region=BodyRegion.UPPER),
        found=[jacket],
        objects=[PERSON],
        poses=[upright_pose(PERSON.box)],
        options={"mask_dilation_px": 64},
    )
    for x, y in (FACE, HAND):
        assert (made.protected[y, x], made.alpha[y, x], made.repaint[y, x], made.thing[y, x]) == (255, 0, 0, 0)
    assert made.reach[FACE[1], FACE[0]] > 0, "colours are not compared on them"
    assert not made.alpha[made.protected > 0].any()
    assert made.alpha[110, 200] == 255


async def test_poses_that_do_not_match_the_people_protect_nobody_else():
    jacket = detection("jacket", 110, 10, 290, 280)
    made = await mask_of(
        Target(region=BodyRegion.UPPER), found=[jacket], objects=[PERSON, MUG, PERSON], poses=[upright_pose(PERSON.box)]
    )
    assert made.protected is None


async def test_the_wearers_pose_counts_and_not_the_first_one():
    other = detection("person", 310, 100, 390, 290)
    known = {"objects": [other, PERSON], "poses": [upright_pose(other.box), upright_pose(PERSON.box)]}
    made = await mask_of(Target(region=BodyRegion.UPPER), **known)
    assert made.protected[FACE[1], FACE[0]] == 255
    right = await mask_of(Target(region=BodyRegion.UPPER, position=Position.RIGHT), **known)
    assert extent(right.thing)[0] > 300


async def test_a_garment_that_nobody_wears_is_the_one_at_its_position():
    shirts = [detection("shirt", 20, 50, 100, 150), detection("shirt", 250, 50, 330, 150)]
    both = await mask_of(Target(phrase="shirt", region=BodyRegion.UPPER), found=shirts)
    assert both.detections == tuple(shirts)
    right = await mask_of(Target(phrase="shirt", region=BodyRegion.UPPER, position=Position.RIGHT), found=shirts)
    assert right.detections == (shirts[1],)
    assert extent(right.thing)[0] == 250


@pytest.mark.parametrize("dilation_px", [15, 64])
async def test_a_small_mask_is_seen_in_a_crop_that_holds_all_that_may_change(dilation_px):
    cup = detection("mug", 520, 380, 560, 420)
    made = await mask_of(Target(phrase="mug"), found=[cup], tiles=3, options={"mask_dilation_px": dilation_px})
    assert made.crop is not None
    x0, y0, x1, y1 = extent(made.reach)
    assert min(x0 - made.crop.x0, y0 - made.crop.y0, made.crop.x1 - x1, made.crop.y1 - y1) > 0
    assert made.view(made.alpha).shape == made.fit.size == (made.crop.y1 - made.crop.y0, made.crop.x1 - made.crop.x0)
    assert np.count_nonzero(made.view(made.alpha)) == np.count_nonzero(made.alpha)
    whole = await mask_of(Target(phrase="mug"), found=[MUG], tiles=3, options={"crop": Crop.OFF})
    assert (whole.crop, whole.fit.size) == (None, (900, 1200))
    assert whole.view(whole.alpha) is whole.alpha


async def test_a_pose_is_shifted_and_scaled_with_the_view():
    made = await mask_of(Target(phrase="mug"), found=[MUG], tiles=3)
    shifted = replace(made, crop=Box(x0=40, y0=60, x1=240, y1=210), fit=replace(made.fit, size=(150, 200)))
    shifted = replace(shifted, fit=replace(shifted.fit, content_size=(300, 400), model_size=(320, 448)))
    pose = upright_pose(PERSON.box)
    (seen,) = shifted.poses_to_model([pose])
    assert seen.body[0, :2].tolist() == pytest.approx([(200 - 40) * 2, (38 - 60) * 2])
    (whole,) = replace(shifted, crop=None).poses_to_model([pose])
    assert whole.body[0, :2].tolist() == pytest.approx([400, 76])


async def test_making_the_mask_is_one_stage_with_refinement_timed_within():
    journal = Journal(listener=lambda _: None)
    await mask_of(Target(phrase="mug"), found=[MUG], journal=journal, options={"refine_mask": RefineMask.ON})
    assert list(journal.timings_ms) == ["refine", "mask"]
    assert journal.models_used == ["sam"]
    drawn = np.full(SIZE, 255, np.uint8)
    journal = Journal(listener=lambda _: None)
    await mask_of(Target(), user_mask=drawn, journal=journal)
    assert list(journal.timings_ms) == ["mask"]


async def test_a_box_without_area_is_nothing_found():
    journal, flat = Journal(listener=lambda _: None), detection("mug", 50, 50, 50, 90)
    made = await mask_of(Target(phrase="mug"), found=[flat], journal=journal)
    assert (made.alpha == 255).all()
    assert journal.warnings == ["nothing like 'mug' was found: all of the image is repainted"]
    with pytest.raises(NoDetection) as caught:
        await mask_of(Target(phrase="mug"), found=[flat], options={"on_no_detection": OnNoDetection.ERROR})
    assert caught.value.details == {"target": "mug"}


async def test_a_subject_that_fills_the_image_leaves_no_background():
    with pytest.raises(EmptyMask, match="fills the image"):
        await mask_of(
            Target(phrase="background", complement=True),
            found=[detection("person", 0, 0, 400, 300)],
            options={"refine_mask": RefineMask.OFF},
        )
