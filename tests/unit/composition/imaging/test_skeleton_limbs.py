"""Which joints a skeleton connects, and in which colours: what the pose ControlNet was trained on."""

from __future__ import annotations

import numpy as np
import pytest

from composition.images import Pose
from composition.imaging.skeleton import LIMBS, draw_skeleton

NOTHING = np.zeros((0, 3), np.float32)
NAMES = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye",
    "right_ear", "left_ear",
)  # fmt: skip
LIMB_COLOURS = [
    ("neck", "right_shoulder", (153, 0, 0)),
    ("neck", "left_shoulder", (153, 51, 0)),
    ("right_shoulder", "right_elbow", (153, 102, 0)),
    ("right_elbow", "right_wrist", (153, 153, 0)),
    ("left_shoulder", "left_elbow", (102, 153, 0)),
    ("left_elbow", "left_wrist", (51, 153, 0)),
    ("neck", "right_hip", (0, 153, 0)),
    ("right_hip", "right_knee", (0, 153, 51)),
    ("right_knee", "right_ankle", (0, 153, 102)),
    ("neck", "left_hip", (0, 153, 153)),
    ("left_hip", "left_knee", (0, 102, 153)),
    ("left_knee", "left_ankle", (0, 51, 153)),
    ("neck", "nose", (0, 0, 153)),
    ("nose", "right_eye", (51, 0, 153)),
    ("right_eye", "right_ear", (102, 0, 153)),
    ("nose", "left_eye", (153, 0, 153)),
    ("left_eye", "left_ear", (153, 0, 102)),
]
"""OpenPose's colours at the limbs' 0.6 of brightness."""


@pytest.mark.parametrize(("start", "end", "colour"), LIMB_COLOURS, ids=[f"{a}-{b}" for a, b, _ in LIMB_COLOURS])
def test_a_limb_is_drawn_between_its_joints_in_its_own_colour(start, end, colour):
    body = np.zeros((18, 3), np.float32)
    body[NAMES.index(start)], body[NAMES.index(end)] = (20, 50, 1), (80, 50, 1)
    drawn = draw_skeleton(
        [Pose(body=body, feet=NOTHING, face=NOTHING, left_hand=NOTHING, right_hand=NOTHING)], (100, 100)
    )
    assert drawn[50, 50].tolist() == pytest.approx(colour, abs=1)


def test_there_are_no_other_limbs():
    assert len(LIMBS) == len(LIMB_COLOURS)
