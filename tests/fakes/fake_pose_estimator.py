"""A pose estimator that stands an upright figure into each person box."""

from __future__ import annotations

import numpy as np

from composition.images import Pose

# OpenPose-18 on a unit box: x, y.
UPRIGHT = [
    (0.50, 0.10), (0.50, 0.20), (0.35, 0.20), (0.28, 0.35), (0.25, 0.50), (0.65, 0.20), (0.72, 0.35), (0.75, 0.50),
    (0.40, 0.52), (0.40, 0.74), (0.40, 0.95), (0.60, 0.52), (0.60, 0.74), (0.60, 0.95),
    (0.47, 0.08), (0.53, 0.08), (0.43, 0.09), (0.57, 0.09),
]  # fmt: skip


def upright_pose(box):
    points = np.array(UPRIGHT, np.float32)
    body = np.ones((18, 3), np.float32)
    body[:, 0] = box.x0 + points[:, 0] * (box.x1 - box.x0)
    body[:, 1] = box.y0 + points[:, 1] * (box.y1 - box.y0)
    nothing = np.zeros((0, 3), np.float32)
    return Pose(body=body, feet=nothing, face=nothing, left_hand=nothing, right_hand=nothing)


class FakePoseEstimator:
    def __init__(self):
        self.calls = 0

    async def estimate_pose(self, image, people):
        self.calls += 1
        return tuple(upright_pose(person.box) for person in people)
