import numpy as np
import pytest

from composition.images import Box
from composition.masking.anatomy import Joint
from runners.structure.movenet import SIDE_PX, MoveNet, cut_square
from runners.structure.queries import PoseQuery
from tests.unit.runners.structure.test_dwpose import image_with_spot
from tests.unit.runners.structure.test_keypoints import COCO_BODY


class SeeingMoveNet:
    """Every keypoint is the brightest spot of the crop; their scores tell their own index."""

    fixed_batch = 1

    def __call__(self, batch):
        assert batch.shape[1:] == (SIDE_PX, SIDE_PX, 3)
        assert batch.dtype == np.float32
        points = np.zeros((len(batch), 1, 17, 3), np.float32)
        for row, crop in enumerate(batch):
            weights = np.clip(crop.mean(axis=2), 0, None) ** 4
            if weights.sum():
                points[row, 0, :, :2] = [
                    (np.average(axis, weights=weights) + 0.5) / SIDE_PX for axis in np.indices(weights.shape)
                ]
            points[row, 0, :, 2] = np.arange(1, 18) / 20
        return (points,)


def estimate(image, *people):
    (poses,) = MoveNet(SeeingMoveNet()).estimate([PoseQuery(image=image, people=people)])
    return poses


@pytest.mark.parametrize(("height", "width"), [(480, 640), (333, 517), (2048, 700)])
@pytest.mark.parametrize(
    "person", [(0.2, 0.1, 0.6, 0.9), (0.5, 0.4, 0.95, 0.6), (0.0, 0.0, 1.0, 1.0), (-0.1, 0.5, 0.5, 1.2)]
)
def test_a_spot_is_found_where_it_is_in_the_image(height, width, person):
    x0, y0, x1, y1 = person[0] * width, person[1] * height, person[2] * width, person[3] * height
    spot = (round(x0 * 0.4 + x1 * 0.6), round(y0 * 0.7 + y1 * 0.3))

    (pose,) = estimate(image_with_spot(height, width, *spot, radius=8), Box(x0=x0, y0=y0, x1=x1, y1=y1))

    step = 1.25 * max(x1 - x0, y1 - y0) / SIDE_PX  # pixels of the image per pixel of the crop
    assert np.abs(pose.body[:, :2] - spot).max() <= 1.5 + step


def test_points_of_coco_become_those_of_openpose_with_a_neck_and_nothing_else_is_claimed():
    (pose,) = estimate(image_with_spot(200, 200, 100, 100), Box(x0=20, y0=20, x1=180, y1=180))

    scores = {joint: pose.body[joint, 2] for joint in Joint}
    for number, name in enumerate(COCO_BODY):
        assert scores[Joint[name.upper()]] == pytest.approx(min(1.0, 1.5 * (number + 1) / 20))
    assert scores[Joint.NECK] == pytest.approx(1.5 * (COCO_BODY.index("left_shoulder") + 1) / 20)
    assert all(part[:, 2].max() == 0 for part in (pose.feet, pose.face, pose.left_hand, pose.right_hand))


def test_a_person_who_leaves_the_image_is_cut_out_with_black_around():
    crop = cut_square(np.full((100, 100, 3), 200, np.uint8), Box(x0=-50, y0=20, x1=50, y1=120))

    assert crop.pixels.shape == (SIDE_PX, SIDE_PX, 3)
    assert crop.pixels[SIDE_PX // 2, 5].tolist() == [0, 0, 0]
    assert crop.pixels[SIDE_PX // 2, SIDE_PX * 3 // 4].tolist() == [200, 200, 200]
    assert crop.pixels[-5, -20].tolist() == [0, 0, 0]


def test_every_person_of_every_query_has_a_pose_in_order():
    image = np.zeros((100, 100, 3), np.uint8)
    box = Box(x0=0, y0=0, x1=50, y1=50)

    poses = MoveNet(SeeingMoveNet()).estimate(
        [
            PoseQuery(image=image, people=(box, box)),
            PoseQuery(image=image, people=()),
            PoseQuery(image=image, people=(box,)),
        ]
    )

    assert [len(found) for found in poses] == [2, 0, 1]
