"""What a prompt says may not change stays, pixel by pixel; sizes in pixels of an image of 300 x 400."""

from __future__ import annotations

import numpy as np
import pytest

from composition.decision import BodyRegion, Target
from composition.errors import EmptyMask, NoDetection
from composition.journal import Journal
from composition.request import OnNoDetection, RefineMask
from tests.fakes.fake_detector import detection
from tests.fakes.fake_pose_estimator import upright_pose
from tests.fakes.fake_segmenter import ellipse
from tests.unit.composition.masking.test_edit_mask import FACE, MUG, PERSON, SIZE, mask_of

LABEL = detection("label", 150, 120, 190, 160)
TABLE = detection("table", 0, 180, 400, 300)


def inside(item):
    box = item.box
    return np.s_[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)]


def listening():
    return Journal(listener=lambda _: None)


async def test_a_protected_part_is_a_hole_in_the_mask_however_far_that_grows():
    made = await mask_of(
        Target(phrase="mug", protected=("label",)),
        found=[MUG],
        protected={"label": (LABEL,)},
        options={"mask_dilation_px": 64},
    )
    hole = inside(LABEL)
    assert (made.alpha[hole] == 0).all()
    assert (made.repaint[hole] == 0).all()
    assert (made.thing[hole] == 0).all()
    assert (made.protected[hole] == 255).all()
    assert made.thing[90, 130] == made.alpha[90, 130] == 255


async def test_a_protected_neighbour_cuts_what_reaches_into_it():
    made = await mask_of(Target(phrase="mug", protected=("table",)), found=[MUG], protected={"table": (TABLE,)})
    assert not made.alpha[180:].any()
    assert made.alpha[100, 170] == 255


async def test_every_instance_of_what_is_protected_stays():
    second = detection("label", 125, 85, 140, 100)
    made = await mask_of(Target(phrase="mug", protected=("label",)), found=[MUG], protected={"label": (LABEL, second)})
    assert not made.alpha[inside(LABEL)].any()
    assert not made.alpha[inside(second)].any()


async def test_where_the_plan_refines_the_protected_thing_is_its_silhouette():
    options = {"refine_mask": RefineMask.ON, "mask_dilation_px": 0, "mask_blur_px": 0}
    made = await mask_of(
        Target(phrase="mug", protected=("label",)), found=[MUG], protected={"label": (LABEL,)}, options=options
    )
    assert np.array_equal(made.protected, ellipse(LABEL.box, SIZE))
    assert not made.alpha[made.protected > 0].any()


async def test_what_holds_the_thing_is_protected_around_it():
    journal = listening()
    made = await mask_of(
        Target(phrase="mug", protected=("person",)), found=[MUG], protected={"person": (PERSON,)}, journal=journal
    )
    assert (made.repaint[inside(MUG)] == 255).all()
    assert made.alpha[140, 170] == 255
    assert made.alpha[100, 225] == 0, "within the person, beside the mug"
    assert made.alpha[100, 97] == 0
    assert journal.warnings == ["'person' holds what is repainted: only the rest of it is protected"]


async def test_everything_but_a_thing_is_all_of_the_image_without_it():
    made = await mask_of(
        Target(phrase="background", complement=True, protected=("mug",), rest=True),
        protected={"mug": (MUG,)},
        options={"refine_mask": RefineMask.OFF},
    )
    kept = np.zeros(SIZE, bool)
    kept[inside(MUG)] = True
    assert (made.repaint[~kept] == 255).all()
    assert not made.alpha[kept].any()
    assert made.detections == (MUG,)


async def test_everything_but_all_of_the_image_is_nothing():
    whole = detection("mug", 0, 0, 400, 300)
    target = Target(phrase="background", complement=True, protected=("mug",), rest=True)
    with pytest.raises(EmptyMask):
        await mask_of(target, protected={"mug": (whole,)}, options={"refine_mask": RefineMask.OFF})


async def test_what_was_not_found_is_said_and_not_protected():
    journal = listening()
    made = await mask_of(
        Target(phrase="mug", protected=("label",)), found=[MUG], protected={"label": ()}, journal=journal
    )
    assert made.protected is None
    assert journal.warnings == ["nothing like 'label' was found: it is not protected"]


async def test_everything_but_what_was_not_found_can_be_refused():
    target = Target(phrase="background", complement=True, protected=("mug",), rest=True)
    with pytest.raises(NoDetection):
        await mask_of(target, protected={"mug": ()}, options={"on_no_detection": OnNoDetection.ERROR})
    journal = listening()
    made = await mask_of(target, protected={"mug": ()}, journal=journal)
    assert (made.alpha == 255).all()
    assert journal.warnings == ["nothing like 'mug' was found: it is not protected"]


async def test_a_protected_background_leaves_the_thing_without_room():
    made = await mask_of(Target(phrase="mug", protected=("background",)), found=[MUG])
    outside = np.ones(SIZE, bool)
    outside[inside(MUG)] = False
    assert not made.alpha[outside].any()


async def test_face_and_hands_stay_beside_what_is_named():
    logo = detection("logo", 190, 120, 210, 140)
    made = await mask_of(
        Target(region=BodyRegion.UPPER, protected=("logo",)),
        found=[detection("jacket", 110, 10, 290, 280)],
        protected={"logo": (logo,)},
        objects=[PERSON],
        poses=[upright_pose(PERSON.box)],
    )
    assert made.protected[FACE[1], FACE[0]] == 255
    assert not made.alpha[ellipse(logo.box, SIZE) > 0].any()
    assert made.alpha[110, 200] > 0


async def test_a_users_mask_is_what_it_is_and_the_prompt_is_told_so():
    drawn, journal = np.zeros(SIZE, np.uint8), listening()
    drawn[100:200, 100:200] = 255
    made = await mask_of(Target(phrase="mug", protected=("label",)), user_mask=drawn, journal=journal)
    assert np.array_equal(made.repaint, drawn)
    assert journal.warnings == ["mask_image alone says what is repainted: not protected from it: label"]
