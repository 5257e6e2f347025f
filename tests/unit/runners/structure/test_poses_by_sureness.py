import numpy as np
import pytest

from composition.images import Box, Pose
from runners.structure.poses_by_sureness import SURE, PosesBySureness
from runners.structure.queries import PoseQuery

IMAGE = np.zeros((60, 60, 3), np.uint8)


def person(number):
    return Box(x0=number, y0=0, x1=number + 20, y1=40)


def pose(score, mark=0.0):
    nothing = np.zeros((0, 3), np.float32)
    body = np.tile(np.array([mark, 0, score], np.float32), (18, 1))
    return Pose(body=body, feet=nothing, face=nothing, left_hand=nothing, right_hand=nothing)


class Net:
    """Gives every person the score that its left edge has, and its own mark."""

    module = None

    def __init__(self, mark, scores=None):
        self.mark, self.scores, self.asked = mark, scores, []

    def estimate(self, queries):
        self.asked += [[box.x0 for box in query.people] for query in queries]
        return [
            tuple(pose(self.scores[box.x0] if self.scores else 0.4, self.mark) for box in query.people)
            for query in queries
        ]


def marks(found):
    return [[int(item.body[0, 0]) for item in poses] for poses in found]


def test_only_people_that_the_first_network_is_unsure_of_are_shown_to_the_second():
    first, second = Net(1, {0: 0.9, 1: 0.5, 2: SURE, 3: SURE - 0.01}), Net(2)

    found = PosesBySureness(first, second).estimate(
        [
            PoseQuery(image=IMAGE, people=(person(0), person(1))),
            PoseQuery(image=IMAGE, people=()),
            PoseQuery(image=IMAGE, people=(person(2),)),
            PoseQuery(image=IMAGE, people=(person(3),)),
        ]
    )

    assert marks(found) == [[1, 2], [], [1], [2]]
    assert second.asked == [[1], [3]]


def test_the_second_network_is_not_run_where_the_first_one_is_sure_of_everybody():
    second = Net(2)

    found = PosesBySureness(Net(1, {0: 0.9}), second).estimate([PoseQuery(image=IMAGE, people=(person(0),))])

    assert marks(found) == [[1]]
    assert second.asked == []


def test_a_sure_face_does_not_make_up_for_a_guessed_body():
    unsure = pose(0.0)
    unsure.body[:5, 2] = 1.0

    class Half(Net):
        def estimate(self, queries):
            return [(unsure,)]

    found = PosesBySureness(Half(1), Net(2)).estimate([PoseQuery(image=IMAGE, people=(person(0),))])

    assert marks(found) == [[2]]
    assert found[0][0].body[0, 2] == pytest.approx(0.4)
