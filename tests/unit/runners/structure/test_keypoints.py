import numpy as np
import pytest

from composition.masking.anatomy import Joint
from runners.structure.keypoints import to_pose

_SIDED = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
COCO_BODY = ["nose", *(f"{side}_{joint}" for joint in _SIDED for side in ("left", "right"))]


def wholebody():
    """Every coordinate tells its own index: x = index, y = 1000 + index."""
    index = np.arange(133, dtype=np.float32)
    return np.stack([index, 1000 + index, np.full(133, 0.9, np.float32)], axis=1)


@pytest.mark.parametrize("joint", [joint for joint in Joint if joint is not Joint.NECK])
def test_every_joint_of_openpose_is_cocos_joint_of_the_same_name(joint):
    assert to_pose(wholebody()).body[joint, 0] == COCO_BODY.index(joint.name.lower())


def test_the_neck_is_between_the_shoulders_and_as_sure_as_the_less_sure_one():
    points = wholebody()
    points[COCO_BODY.index("left_shoulder")] = (10, 40, 0.9)
    points[COCO_BODY.index("right_shoulder")] = (30, 60, 0.2)

    assert to_pose(points).body[Joint.NECK] == pytest.approx([20, 50, 0.2])


def test_feet_face_and_hands_are_cut_where_coco_wholebody_has_them():
    pose = to_pose(wholebody())

    assert [(part[0, 0], len(part)) for part in (pose.feet, pose.face, pose.left_hand, pose.right_hand)] == [
        (17, 6),
        (23, 68),
        (91, 21),
        (112, 21),
    ]
