import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from composition.images import Pose
from composition.imaging.skeleton import FINGER_BONES, draw_skeleton, rainbow

NOTHING = np.zeros((0, 3), np.float32)


def pose(body=NOTHING, **parts):
    return Pose(
        **({"body": body, "feet": NOTHING, "face": NOTHING, "left_hand": NOTHING, "right_hand": NOTHING} | parts)
    )


def body_with(**joints):
    body = np.zeros((18, 3), np.float32)
    for name, point in joints.items():
        body[{"nose": 0, "neck": 1, "right_shoulder": 2, "left_ear": 17}[name]] = point
    return body


def test_nobody_is_a_black_image_of_the_asked_size():
    drawn = draw_skeleton([], (40, 60))

    assert drawn.shape == (40, 60, 3)
    assert drawn.dtype == np.uint8
    assert not drawn.any()


def test_the_limb_from_neck_to_right_shoulder_is_dark_red_with_a_joint_in_orange_and_yellow():
    drawn = draw_skeleton([pose(body_with(neck=(20, 50, 1), right_shoulder=(80, 50, 1)))], (100, 100))

    assert drawn[50, 50].tolist() == [153, 0, 0]
    assert drawn[50, 20].tolist() == [255, 85, 0]
    assert drawn[50, 80].tolist() == [255, 170, 0]


def test_a_limb_with_an_unsure_end_is_left_out_and_so_is_that_joint():
    drawn = draw_skeleton([pose(body_with(neck=(20, 50, 1), right_shoulder=(80, 50, 0.2)))], (100, 100))

    assert not drawn[50, 50].any()
    assert not drawn[50, 80].any()
    assert drawn[50, 20].any()


def test_face_points_are_white_and_finger_joints_blue():
    face = np.array([[30, 40, 1]], np.float32)
    hand = np.full((21, 3), (70, 40, 1), np.float32)

    drawn = draw_skeleton([pose(face=face, left_hand=hand)], (100, 100))

    assert drawn[40, 30].tolist() == [255, 255, 255]
    assert drawn[40, 70].tolist() == [0, 0, 255]


def test_the_fingers_start_at_the_wrist():
    assert FINGER_BONES[:5] == ((0, 1), (1, 2), (2, 3), (3, 4), (0, 5))
    assert len(FINGER_BONES) == 20
    assert max(end for _, end in FINGER_BONES) == 20


def test_hues_are_spaced_evenly():
    rounded = [tuple(round(value) for value in colour) for colour in rainbow(6)]

    assert rounded == [(255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255)]


@given(
    arrays(np.float32, (18, 3), elements=st.floats(-3000, 3000, width=32)),
    arrays(np.float32, (21, 3), elements=st.floats(allow_nan=True, allow_infinity=True, width=32)),
)
def test_any_keypoints_can_be_drawn(body, hand):
    hand[:, :2] = np.where(np.abs(hand[:, :2]) < 1e6, hand[:, :2], np.nan)

    assert draw_skeleton([pose(body, right_hand=hand)], (64, 96)).shape == (64, 96, 3)
