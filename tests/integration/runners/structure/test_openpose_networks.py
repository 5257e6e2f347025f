"""OpenPose through the real detector class of controlnet-aux, with a body network that says where people are."""

import warnings

import numpy as np
import pytest

from composition.images import Box
from runners.structure.openpose import OpenPose
from runners.structure.queries import PoseQuery


class TwoPeople:
    """Stands for controlnet-aux's `Body`: candidates (x, y, score, id) in pixels of the net's image."""

    def __init__(self, body_class):
        self.format_body_result = body_class.format_body_result

    def __call__(self, image):
        height, width = image.shape[:2]
        columns = np.concatenate([np.full(18, 0.25), np.full(18, 0.75)]) * width
        rows = np.tile(np.linspace(0.1, 0.9, 18), 2) * height
        candidate = np.stack([columns, rows, np.full(36, 0.9), np.arange(36)], axis=1)
        subset = np.array([[*range(18), 16.0, 18], [*range(18, 36), 16.0, 18]], dtype=float)
        subset[1, 4] = -1  # the second person's right wrist is hidden
        return candidate, subset


class NoFace:
    def __call__(self, image):
        return np.zeros((71, *image.shape[:2]), np.float32)

    def compute_peaks_from_heatmaps(self, heatmaps):
        return np.zeros((0,), np.float32)


class EveryFinger:
    def __call__(self, image):
        return np.full((21, 2), 5)


@pytest.mark.parametrize(("height", "width"), [(600, 400), (1200, 1600)])
def test_the_poses_of_two_people_reach_their_boxes_in_pixels_of_the_image(height, width):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from controlnet_aux.open_pose import OpenposeDetector
        from controlnet_aux.open_pose.body import Body
    detector = OpenposeDetector(TwoPeople(Body), EveryFinger(), NoFace())
    right, left = Box(x0=width / 2, y0=0, x1=width, y1=height), Box(x0=0, y0=0, x1=width / 2, y1=height)

    (poses,) = OpenPose(detector).estimate(
        [PoseQuery(image=np.zeros((height, width, 3), np.uint8), people=(right, left))]
    )

    assert [pose.body[0, 0] for pose in poses] == pytest.approx([0.75 * width, 0.25 * width], abs=2)
    assert poses[1].body[:, 1] == pytest.approx(np.linspace(0.1, 0.9, 18) * height, abs=2)
    assert poses[0].body[4].tolist() == [0, 0, 0]
    assert poses[0].face.shape == poses[0].feet.shape == (0, 3)
