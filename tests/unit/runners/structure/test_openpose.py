from dataclasses import dataclass

import numpy as np
import pytest

from composition.images import Box
from runners.structure.openpose import LONG_SIDE_PX, OpenPose
from runners.structure.queries import PoseQuery


@dataclass
class Keypoint:
    x: float
    y: float


@dataclass
class Body:
    keypoints: list


@dataclass
class PoseResult:
    body: Body
    left_hand: list | None = None
    right_hand: list | None = None
    face: list | None = None


class ListedDetector:
    """Finds the people that it was made with, in fractions of the image, as controlnet-aux's detector does."""

    def __init__(self, *results):
        self.results = list(results)
        self.sizes = []

    def detect_poses(self, image, include_hand, include_face):
        assert include_hand
        assert include_face
        self.sizes.append(image.shape)
        return self.results


def person_at(x, y, seen=18, **parts):
    return PoseResult(Body([Keypoint(x, y)] * seen + [None] * (18 - seen)), **parts)


def estimate(detector, people, height=400, width=600):
    query = PoseQuery(image=np.zeros((height, width, 3), np.uint8), people=tuple(people))
    return OpenPose(detector).estimate([query])[0]


LEFT, RIGHT = Box(x0=0, y0=0, x1=300, y1=400), Box(x0=300, y0=0, x1=600, y1=400)


def test_every_box_gets_the_pose_that_lies_in_it():
    poses = estimate(ListedDetector(person_at(0.75, 0.5), person_at(0.25, 0.5)), [LEFT, RIGHT])

    assert [pose.body[0].tolist() for pose in poses] == [[150, 200, 1], [450, 200, 1]]


def test_a_box_without_a_pose_gets_one_that_is_unsure_everywhere():
    left, right = estimate(ListedDetector(person_at(0.25, 0.5)), [LEFT, RIGHT])

    assert left.body[:, 2].tolist() == [1] * 18
    assert not right.body.any()


def test_no_pose_is_given_twice_and_the_better_fit_goes_first():
    whole = Box(x0=0, y0=0, x1=600, y1=400)
    detector = ListedDetector(person_at(0.25, 0.5, seen=4), person_at(0.2, 0.5, seen=17))

    poses = estimate(detector, [LEFT, whole])

    assert sorted(int(pose.body[:, 2].sum()) for pose in poses) == [4, 17]


def test_points_that_were_not_found_have_no_score():
    (pose,) = estimate(
        ListedDetector(person_at(0.25, 0.5, seen=10, left_hand=[Keypoint(-1 / 600, 0.5)] + [Keypoint(0.1, 0.1)] * 20)),
        [LEFT],
    )

    assert pose.body[:, 2].tolist() == [1] * 10 + [0] * 8
    assert pose.left_hand[:2].tolist() == [[0, 0, 0], [pytest.approx(60), pytest.approx(40), 1]]
    assert pose.right_hand.shape == (0, 3)
    assert pose.face.shape == (0, 3)


def test_a_large_image_is_shrunk_for_the_net_and_its_pose_is_in_pixels_of_the_image():
    detector = ListedDetector(person_at(0.5, 0.5))

    (pose,) = estimate(detector, [Box(x0=0, y0=0, x1=2048, y1=1024)], height=1024, width=2048)

    assert detector.sizes == [(LONG_SIDE_PX // 2, LONG_SIDE_PX, 3)]
    assert pose.body[0].tolist() == [1024, 512, 1]


def test_nobody_costs_no_forward():
    detector = ListedDetector(person_at(0.5, 0.5))

    assert estimate(detector, []) == ()
    assert detector.sizes == []
