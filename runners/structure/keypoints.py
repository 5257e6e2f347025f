"""COCO-WholeBody's 133 keypoints -> the domain's `Pose` with OpenPose's 18 body points.

Order of COCO-WholeBody (Jin et al. 2020, arXiv:2007.11858): 17 body, 6 feet, 68 face, 21 left hand, 21 right hand.
"""

from __future__ import annotations

import numpy as np

from composition.images import Pose
from runners.network import Tensor

COUNT = 133
_FEET, _FACE = slice(17, 23), slice(23, 91)
_LEFT_HAND, _RIGHT_HAND = slice(91, 112), slice(112, 133)
_LEFT_SHOULDER, _RIGHT_SHOULDER = 5, 6
_OPENPOSE_FROM_COCO = (0, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
"""COCO indices in OpenPose's order; the neck, which COCO lacks, belongs after the first."""


def to_pose(points: Tensor) -> Pose:
    """One person's keypoints from float32 (133, 3): x, y, score."""
    assert points.shape == (COUNT, 3)
    body = points[list(_OPENPOSE_FROM_COCO)]
    return Pose(
        body=np.concatenate([body[:1], _neck(points)[None], body[1:]]),
        feet=points[_FEET].copy(),
        face=points[_FACE].copy(),
        left_hand=points[_LEFT_HAND].copy(),
        right_hand=points[_RIGHT_HAND].copy(),
    )


def _neck(points: Tensor) -> Tensor:
    """Between the shoulders, as sure as the less sure one."""
    shoulders = points[[_LEFT_SHOULDER, _RIGHT_SHOULDER]]
    neck: Tensor = shoulders.mean(axis=0)
    neck[2] = shoulders[:, 2].min()
    return neck
