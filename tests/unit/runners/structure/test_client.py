"""What the structure runner is asked."""

from __future__ import annotations

import numpy as np

from composition.images import Box, Detection
from runners.remote import Answer
from runners.structure.client import BentoStructure

IMAGE = np.arange(40 * 30 * 3, dtype=np.uint8).reshape(40, 30, 3)


class Asked:
    """A runner in this process that remembers the questions."""

    def __init__(self) -> None:
        self.questions: list[object] = []

    def estimate_pose(self, items):
        self.questions += [item.content for item in items]
        return [Answer(("a pose",)) for _ in items]

    estimate_depth = estimate_pose


async def test_poses_are_asked_for_with_the_image_and_the_people_s_boxes():
    runner, boxes = Asked(), (Box(x0=1, y0=2, x1=9, y1=12), Box(x0=15, y0=2, x1=20, y1=30))
    people = [Detection(box=box, score=0.9, label="person") for box in boxes]
    assert await BentoStructure(runner).estimate_pose(IMAGE, people) == ("a pose",)
    (query,) = runner.questions
    assert query.people == boxes
    assert np.array_equal(query.image, IMAGE)


async def test_nobody_s_pose_is_nobody_s_work():
    runner = Asked()
    assert await BentoStructure(runner).estimate_pose(IMAGE, []) == ()
    assert runner.questions == []
