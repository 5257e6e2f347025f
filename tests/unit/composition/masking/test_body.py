"""Masks of what people wear: the right part of the right person, never the face, never the hands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from composition.decision import BodyRegion
from composition.images import Box, Pose
from composition.masking.body import limbs_left_out, protected_mask, region_mask, worn_mask

SIZE = (680, 420)
NOTHING = np.zeros((0, 3), np.float32)

# An adult, 600 px tall, facing the viewer; the left arm is held away from the body. (x, y)
STANDING = {
    "nose": (200, 78), "neck": (200, 138), "r_shoulder": (134, 138), "r_elbow": (110, 246), "r_wrist": (105, 336),
    "l_shoulder": (266, 138), "l_elbow": (310, 230), "l_wrist": (370, 300), "r_hip": (155, 312), "r_knee": (150, 459),
    "r_ankle": (150, 606), "l_hip": (245, 312), "l_knee": (252, 459), "l_ankle": (256, 606), "r_eye": (190, 68),
    "l_eye": (210, 68), "r_ear": (175, 72), "l_ear": (225, 72),
}  # fmt: skip
NAMES = list(STANDING)
POINTS = np.array(list(STANDING.values()), np.float32)


def pose_of(points=POINTS, *, without=(), scale=1.0, shift=(0.0, 0.0), **parts):
    body = np.ones((18, 3), np.float32)
    body[:, :2] = points * scale + np.array(shift)
    for name in without:
        body[NAMES.index(name), 2] = 0.1
    rest = {"feet": NOTHING, "face": NOTHING, "left_hand": NOTHING, "right_hand": NOTHING, **parts}
    return Pose(body=body, **rest)


def keypoints(*points):
    return np.array([(x, y, 1.0) for x, y in points], np.float32)


def at(mask, *places):
    return [int(mask[y, x]) // 255 for x, y in places]


def test_an_upper_garment_covers_torso_and_arms_and_nothing_else():
    mask = region_mask(BodyRegion.UPPER, pose_of(), SIZE)
    assert at(mask, (200, 220), (140, 145), (260, 145), (110, 246), (340, 265), (200, 320)) == [1] * 6
    assert at(mask, (200, 68), (150, 459), (200, 500), (20, 246), (300, 400), (400, 120)) == [0] * 6


def test_a_lower_garment_covers_hips_and_legs_and_the_span_of_a_skirt():
    mask = region_mask(BodyRegion.LOWER, pose_of(), SIZE)
    assert at(mask, (200, 312), (150, 400), (250, 400), (200, 430), (150, 600), (256, 600)) == [1] * 6
    assert at(mask, (200, 200), (200, 580), (60, 400), (340, 500), (370, 300), (200, 68)) == [0] * 6


def test_a_scarf_reaches_from_under_the_chin_to_the_breastbone_when_no_head_is_seen():
    """Chin, neck and breastbone as anthropometry has them; its size goes with the person's."""
    headless = {"without": ("nose", "r_eye", "l_eye", "r_ear", "l_ear")}
    whole = region_mask(BodyRegion.NECK, pose_of(**headless), SIZE)
    half = region_mask(BodyRegion.NECK, pose_of(**headless, scale=0.5), SIZE)
    rows, columns = np.nonzero(whole)
    assert at(whole, (200, 138), (200, 110), (200, 170)) == [1] * 3
    assert at(whole, (200, 60), (134, 138), (266, 138), (200, 290)) == [0] * 4
    assert 60 < np.ptp(columns) < 130
    assert 70 < rows.min() < 95
    assert 170 < rows.max() < 290
    assert 0.22 < np.count_nonzero(half) / np.count_nonzero(whole) < 0.28


def test_a_dress_covers_both_and_the_span_between_the_ankles():
    full = region_mask(BodyRegion.FULL, pose_of(), SIZE)
    for region in (BodyRegion.UPPER, BodyRegion.LOWER):
        part = region_mask(region, pose_of(), SIZE)
        assert (full[part > 0] == 255).all()
    assert at(full, (200, 580), (200, 68), (370, 330)) == [1, 0, 0]


def test_shoes_cover_the_feet_by_their_points_or_below_the_shin():
    without_points = region_mask(BodyRegion.FEET, pose_of(), SIZE)
    assert at(without_points, (150, 606), (256, 606), (150, 640), (203, 620), (150, 540)) == [1, 1, 1, 0, 0]
    toes = keypoints((90, 640), (100, 648), (150, 636), (330, 640), (320, 648), (250, 636))
    with_points = region_mask(BodyRegion.FEET, pose_of(feet=toes), SIZE)
    assert at(with_points, (95, 642), (325, 642), (203, 640)) == [1, 1, 0]
    swapped = region_mask(BodyRegion.FEET, pose_of(feet=toes[::-1].copy()), SIZE)
    assert np.array_equal(with_points, swapped)


def test_a_hat_sits_above_the_brows():
    mask = region_mask(BodyRegion.HEAD, pose_of(), SIZE)
    assert at(mask, (200, 30), (180, 45), (220, 45)) == [1, 1, 1]
    assert at(mask, (190, 68), (210, 68), (200, 78), (200, 95), (200, 138)) == [0] * 5


def test_glasses_cover_the_band_of_the_eyes():
    mask = region_mask(BodyRegion.EYES, pose_of(), SIZE)
    assert at(mask, (190, 68), (210, 68), (178, 68), (222, 68)) == [1] * 4
    assert at(mask, (200, 95), (200, 40), (200, 138)) == [0] * 3


def test_a_scarf_hangs_from_under_the_chin_to_the_breastbone():
    mask = region_mask(BodyRegion.NECK, pose_of(), SIZE)
    assert at(mask, (200, 125), (200, 138), (200, 200)) == [1, 1, 1]
    assert at(mask, (200, 68), (134, 138), (200, 300)) == [0, 0, 0]


def test_a_tilted_head_tilts_its_hat_and_glasses():
    turn = np.array([[0.0, -1.0], [1.0, 0.0]], np.float32)
    neck = POINTS[NAMES.index("neck")]
    fallen = (POINTS - neck) @ turn.T + np.array([150, 300], np.float32)
    hat = region_mask(BodyRegion.HEAD, pose_of(fallen), (680, 680))
    glasses = region_mask(BodyRegion.EYES, pose_of(fallen), (680, 680))
    # "Up" in the body's frame is to the right in this image: the eyes are at x = 220, the crown beyond.
    assert at(hat, (258, 300), (220, 290), (195, 300)) == [1, 0, 0]
    assert at(glasses, (220, 290), (220, 310), (195, 300)) == [1, 1, 0]


@pytest.mark.parametrize(
    ("region", "missing"),
    [
        (BodyRegion.UPPER, ("r_shoulder", "l_shoulder")),
        (BodyRegion.LOWER, ("r_hip", "l_hip")),
        (BodyRegion.FULL, ("r_shoulder", "l_shoulder", "r_hip", "l_hip")),
        (BodyRegion.FEET, ("r_ankle", "l_ankle")),
        (BodyRegion.HEAD, ("nose", "r_eye", "l_eye", "r_ear", "l_ear")),
        (BodyRegion.EYES, ("nose", "r_eye", "l_eye", "r_ear", "l_ear")),
        (BodyRegion.NECK, ("neck", "r_shoulder", "l_shoulder")),
    ],
)
def test_a_part_whose_keypoints_are_missing_has_no_mask(region, missing):
    assert region_mask(region, pose_of(without=missing), SIZE) is None
    assert region_mask(region, pose_of(without=missing[1:]), SIZE) is not None


@pytest.mark.parametrize("region", list(BodyRegion))
def test_nobody_has_no_mask(region):
    assert region_mask(region, pose_of(without=NAMES), SIZE) is None
    assert not protected_mask(pose_of(without=NAMES), SIZE, region).any()
    unknown = pose_of(np.full((18, 2), np.nan, np.float32))
    assert region_mask(region, unknown, SIZE) is None


@pytest.mark.parametrize("region", list(BodyRegion))
def test_a_person_outside_the_image_has_no_mask(region):
    assert region_mask(region, pose_of(shift=(5000, 5000)), SIZE) is None


def test_a_portrait_gets_a_torso_down_to_its_edge():
    below = ("r_hip", "l_hip", "r_knee", "l_knee", "r_ankle", "l_ankle", "r_wrist", "l_wrist")
    portrait = region_mask(BodyRegion.UPPER, pose_of(without=below), (260, 420))
    assert at(portrait, (200, 259), (140, 250), (260, 250), (200, 60)) == [1, 1, 1, 0]


def test_a_leg_that_the_image_cuts_off_is_continued():
    mask = region_mask(BodyRegion.LOWER, pose_of(without=("r_ankle", "l_ankle")), (560, 420))
    assert at(mask, (150, 555), (252, 555)) == [1, 1]


def test_masks_grow_with_the_person():
    small = region_mask(BodyRegion.UPPER, pose_of(), SIZE)
    large = region_mask(BodyRegion.UPPER, pose_of(scale=2.0), (1360, 840))
    assert np.count_nonzero(large) / np.count_nonzero(small) == pytest.approx(4.0, rel=0.02)


@pytest.mark.parametrize("region", list(BodyRegion))
def test_face_and_hands_are_protected(region):
    mask = protected_mask(pose_of(), SIZE, region)
    mouth, cheek, hands = (200, 95), (185, 88), [(102, 360), (385, 318)]
    assert at(mask, mouth, cheek, *hands) == [1, 1, 1, 1]
    assert at(mask, (200, 220), (110, 246), (150, 459)) == [0, 0, 0]
    eyes, forehead = at(mask, (190, 68), (210, 68)), at(mask, (200, 44))
    assert eyes == ([0, 0] if region is BodyRegion.EYES else [1, 1])
    assert forehead == ([0] if region is BodyRegion.HEAD else [1])


def test_found_fingers_and_face_points_say_where_hands_and_face_are():
    fingers = keypoints((380, 310), (398, 271), (417, 310), (405, 330), (390, 335))
    oval = keypoints(*[(200 + 40 * np.cos(turn), 75 + 45 * np.sin(turn)) for turn in np.linspace(0, np.pi, 12)])
    pose = pose_of(left_hand=fingers, face=oval)
    mask = protected_mask(pose, SIZE, BodyRegion.UPPER)
    assert at(mask, (398, 315), (397, 275), (200, 118), (162, 80), (238, 80)) == [1, 1, 1, 1, 1]
    assert at(protected_mask(pose_of(), SIZE, BodyRegion.UPPER), (397, 275), (200, 118)) == [0, 0]


def test_a_hand_without_its_elbow_is_protected_around_the_wrist():
    pose = pose_of(without=("r_elbow",))
    assert at(protected_mask(pose, SIZE, BodyRegion.UPPER), (105, 336), (105, 360)) == [1, 1]


def test_one_lone_keypoint_is_no_garment_and_no_error():
    for index, name in enumerate(NAMES):
        lone = pose_of(np.zeros((18, 2), np.float32), without=[other for other in NAMES if other != name])
        assert lone.body[index, 2] == 1
        for region in BodyRegion:
            assert region_mask(region, lone, SIZE) is None
            assert np.count_nonzero(protected_mask(lone, SIZE, region)) <= 1


def box_mask(x0, y0, x1, y1, size=SIZE):
    mask = np.zeros(size, np.uint8)
    mask[y0:y1, x0:x1] = 255
    return mask


def test_a_garment_is_cut_to_the_body_part_without_face_and_hands():
    garment = box_mask(60, 30, 400, 420)
    worn = worn_mask(BodyRegion.UPPER, garment, pose_of(), None, SIZE)
    part = region_mask(BodyRegion.UPPER, pose_of(), SIZE)
    protected = protected_mask(pose_of(), SIZE, BodyRegion.UPPER)
    assert np.array_equal(worn, np.where(protected > 0, np.uint8(0), garment & part))
    assert set(np.unique(worn)) == {0, 255}


def test_a_sleeveless_shirt_leaves_the_arms_out():
    worn = worn_mask(BodyRegion.UPPER, box_mask(140, 130, 260, 330), pose_of(), None, SIZE)
    assert at(worn, (200, 220), (110, 246), (340, 265)) == [1, 0, 0]


@pytest.mark.parametrize(
    "garment", [None, np.zeros(SIZE, np.uint8), box_mask(0, 600, 60, 680)], ids=["no", "empty", "far"]
)
def test_without_a_garment_on_it_the_body_part_is_repainted(garment):
    worn = worn_mask(BodyRegion.UPPER, garment, pose_of(), None, SIZE)
    part = region_mask(BodyRegion.UPPER, pose_of(), SIZE)
    protected = protected_mask(pose_of(), SIZE, BodyRegion.UPPER)
    assert np.array_equal(worn, np.where(protected > 0, np.uint8(0), part))


def test_without_a_pose_the_garment_is_repainted():
    garment = box_mask(100, 100, 200, 200)
    worn = worn_mask(BodyRegion.UPPER, garment, None, None, SIZE)
    assert np.array_equal(worn, garment)
    assert not np.shares_memory(worn, garment)
    hidden = pose_of(without=("r_shoulder", "l_shoulder"))
    worn = worn_mask(BodyRegion.UPPER, garment, hidden, None, SIZE)
    assert at(worn, (150, 150), (150, 250)) == [1, 0]


def test_somebody_elses_garment_is_left_alone():
    garments = box_mask(100, 150, 300, 300) | box_mask(320, 150, 415, 300)
    worn = worn_mask(BodyRegion.UPPER, garments, None, Box(x0=90, y0=0, x1=310, y1=680), SIZE)
    assert np.array_equal(worn, box_mask(100, 150, 300, 300))


def test_with_neither_pose_nor_garment_there_is_no_mask():
    person = Box(x0=90, y0=0, x1=310, y1=680)
    assert worn_mask(BodyRegion.UPPER, None, None, None, SIZE) is None
    assert worn_mask(BodyRegion.UPPER, None, None, person, SIZE) is None
    assert worn_mask(BodyRegion.UPPER, box_mask(400, 0, 420, 50), None, person, SIZE) is None
    assert worn_mask(BodyRegion.FEET, None, pose_of(without=("r_ankle", "l_ankle")), person, SIZE) is None


scores = st.floats(0, 1)
coordinates = st.floats(-300, 900, width=32)


@settings(max_examples=80)
@given(
    arrays.arrays(np.float32, (18, 2), elements=coordinates | st.just(float("nan"))),
    arrays.arrays(np.float32, (18,), elements=st.floats(0, 1, width=32)),
    st.sampled_from(list(BodyRegion)),
)
def test_no_pose_however_odd_puts_a_garment_on_the_face_or_the_hands(points, certainty, region):
    pose = replace(pose_of(points), body=np.column_stack([points, certainty]).astype(np.float32))
    size = (150, 200)
    full = np.full(size, 255, np.uint8)
    worn = worn_mask(region, full, pose, None, size)
    if worn is not None:
        assert worn.shape == size
        assert set(np.unique(worn)) <= {0, 255}
        assert worn.any()
        assert not (worn & protected_mask(pose, size, region)).any()


def test_a_garment_that_keeps_its_shape_is_not_cut_by_the_body_part():
    garment = np.zeros(SIZE, np.uint8)
    garment[60:500, 60:400] = 255
    cut = worn_mask(BodyRegion.UPPER, garment, pose_of(), None, SIZE)
    whole = worn_mask(BodyRegion.UPPER, garment, pose_of(), None, SIZE, keeps_shape=True)
    protected = protected_mask(pose_of(), SIZE, BodyRegion.UPPER) > 0
    assert np.array_equal(whole > 0, (garment > 0) & ~protected)
    assert (cut > 0).sum() < (whole > 0).sum()


def test_without_a_garment_the_body_part_counts_even_if_the_shape_is_to_stay():
    part = worn_mask(BodyRegion.UPPER, None, pose_of(), None, SIZE, keeps_shape=True)
    assert np.array_equal(part, worn_mask(BodyRegion.UPPER, None, pose_of(), None, SIZE))


LEGLESS = ("r_ankle", "l_ankle")
HIPLESS = ("r_hip", "l_hip")


@pytest.mark.parametrize("without", [(), LEGLESS, HIPLESS, ("neck",)])
@pytest.mark.parametrize("region", list(BodyRegion))
def test_a_region_grows_with_the_person(region, without):
    """Every length is a share of the person's size: twice as tall is four times the area, in the same place."""
    small = region_mask(region, pose_of(scale=0.4, without=without), SIZE)
    large = region_mask(region, pose_of(scale=0.8, without=without), SIZE)
    if small is None:
        assert large is None
        return
    assert 3.6 < np.count_nonzero(large) / np.count_nonzero(small) < 4.4
    centres = [np.argwhere(mask).mean(axis=0) for mask in (small, large)]
    assert np.allclose(centres[0] * 2, centres[1], atol=4)


def test_a_torso_whose_hips_were_not_seen_ends_where_hips_are():
    seen = region_mask(BodyRegion.UPPER, pose_of(), SIZE)
    guessed = region_mask(BodyRegion.UPPER, pose_of(without=HIPLESS), SIZE)
    column = (slice(None), 200)
    assert abs(int(np.flatnonzero(seen[column]).max()) - int(np.flatnonzero(guessed[column]).max())) < 40


def test_a_shin_whose_ankle_was_not_seen_goes_on_down_the_leg():
    mask = region_mask(BodyRegion.LOWER, pose_of(without=LEGLESS), SIZE)
    assert at(mask, (150, 480), (150, 560), (252, 560)) == [1] * 3
    assert at(mask, (60, 560), (340, 560)) == [0] * 2


def test_a_turned_face_whose_landmarks_are_unknown_is_protected_from_ear_to_nose():
    turned = POINTS.copy()
    turned[NAMES.index("r_ear")], turned[NAMES.index("nose")] = (165, 72), (205, 80)
    assert at(protected_mask(pose_of(turned), SIZE, BodyRegion.UPPER), (162, 72)) == [1]
    assert at(protected_mask(pose_of(), SIZE, BodyRegion.UPPER), (162, 72)) == [0]


def test_landmarks_of_a_face_say_where_its_jaw_is_and_without_them_there_is_room_for_one():
    jaw = keypoints(*[(200 + 20 * np.cos(turn), 75 + 20 * np.sin(turn)) for turn in np.linspace(0, np.pi, 12)])
    alone = {"without": [name for name in NAMES if name[2:] in ("wrist", "elbow")]}
    lowest = [
        np.nonzero(protected_mask(pose, SIZE, BodyRegion.UPPER))[0].max()
        for pose in (pose_of(face=jaw, **alone), pose_of(**alone))
    ]
    assert 104 < lowest[0] < 112 < lowest[1] < 118


def test_the_protected_face_ends_below_the_chin_at_the_ears_and_the_hairline():
    """No shoulder, hair or background with it: what is beside a head may be repainted."""
    alone = pose_of(without=[name for name in NAMES if name[2:] in ("wrist", "elbow")])
    rows, columns = np.nonzero(protected_mask(alone, SIZE, BodyRegion.UPPER))
    assert 104 < rows.max() < 118
    assert 38 < rows.min() < 46
    assert 166 < columns.min() < 178
    assert 222 < columns.max() < 234


def test_of_limbs_those_are_drawn_that_an_outline_lacks():
    """A shin is cut off at its middle; the rest of the person is in the outline."""
    outline = np.zeros(SIZE, np.uint8)
    outline[:500] = 255
    outline[500:, 200:] = 255
    drawn = limbs_left_out(outline, pose_of())
    assert at(drawn, (150, 470), (150, 600), (150, 640)) == [1, 1, 1], "the shin, and a foot below the ankle"
    assert at(drawn, (252, 550), (150, 400), (105, 300), (200, 220)) == [0] * 4
    assert not limbs_left_out(np.full(SIZE, 255, np.uint8), pose_of()).any()


def test_an_outline_of_nothing_lacks_arms_and_legs_and_a_pose_of_nothing_has_none():
    nobody = np.zeros(SIZE, np.uint8)
    drawn = limbs_left_out(nobody, pose_of())
    assert at(drawn, (120, 200), (107, 300), (288, 185), (150, 400), (150, 550), (252, 400), (256, 550)) == [1] * 7
    assert at(drawn, (200, 78), (200, 550)) == [0] * 2
    assert not limbs_left_out(nobody, pose_of(without=NAMES)).any()
    assert not limbs_left_out(nobody, pose_of(shift=(9000.0, 0.0))).any()
