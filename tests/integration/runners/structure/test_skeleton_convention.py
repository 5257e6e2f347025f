"""The skeleton against controlnet-aux's drawing, which made the training images of the pose ControlNet."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from composition.images import Pose
from composition.imaging.skeleton import draw_skeleton

HEIGHT, WIDTH = 384, 512


@pytest.fixture(scope="module")
def draw_pose():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its modules use names that scipy and timm have moved
        from controlnet_aux.dwpose import draw_pose
    return draw_pose


def random_points(rng, count, share_hidden):
    """Points inside the image, at pixel centres so that no rounding of normalised coordinates decides."""
    points = np.empty((count, 3), np.float32)
    points[:, 0] = rng.integers(5, WIDTH - 5, count) + 0.5
    points[:, 1] = rng.integers(5, HEIGHT - 5, count) + 0.5
    points[:, 2] = np.where(rng.random(count) < share_hidden, 0.1, 0.9)
    return points


def random_pose(rng, share_hidden=0.2):
    return Pose(
        body=random_points(rng, 18, share_hidden),
        feet=random_points(rng, 6, share_hidden),
        face=random_points(rng, 68, share_hidden),
        left_hand=random_points(rng, 21, share_hidden),
        right_hand=random_points(rng, 21, share_hidden),
    )


def as_reference_input(poses):
    """What `DWposeDetector.__call__` hands to `draw_pose`: normalised coordinates, -1 for what is not visible."""
    normalised = lambda points: points[:, :2] / np.array([WIDTH, HEIGHT])  # noqa: E731
    candidate = np.concatenate([normalised(pose.body) for pose in poses])
    subset = np.array(
        [
            [18 * person + joint if pose.body[joint, 2] > 0.3 else -1 for joint in range(18)]
            for person, pose in enumerate(poses)
        ]
    )
    hidden = lambda points: np.where(points[:, 2:] > 0.3, normalised(points), -1.0)  # noqa: E731
    hands = [hidden(pose.left_hand) for pose in poses] + [hidden(pose.right_hand) for pose in poses]
    return {
        "bodies": {"candidate": candidate, "subset": subset},
        "hands": hands,
        "faces": [hidden(pose.face) for pose in poses],
    }


@pytest.mark.parametrize("people", [1, 2, 5])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_drawing_of_controlnet_aux_pixel_by_pixel(draw_pose, people, seed):
    rng = np.random.default_rng(seed)
    poses = [random_pose(rng) for _ in range(people)]

    expected = draw_pose(as_reference_input(poses), HEIGHT, WIDTH)
    drawn = draw_skeleton(poses, (HEIGHT, WIDTH))

    assert drawn.any()
    assert np.array_equal(drawn, expected)


def test_one_person_looks_as_controlnet_auxs_openpose_draws_it():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from controlnet_aux.open_pose import BodyResult, Keypoint, PoseResult, draw_poses
    rng = np.random.default_rng(11)
    pose = random_pose(rng, share_hidden=0.0)
    listed = lambda points: [Keypoint(x=x / WIDTH, y=y / HEIGHT) for x, y, _ in points.astype(float)]  # noqa: E731
    reference = PoseResult(
        BodyResult(keypoints=listed(pose.body), total_score=18, total_parts=18),
        listed(pose.left_hand),
        listed(pose.right_hand),
        listed(pose.face),
    )

    assert np.array_equal(draw_skeleton([pose], (HEIGHT, WIDTH)), draw_poses([reference], HEIGHT, WIDTH))
