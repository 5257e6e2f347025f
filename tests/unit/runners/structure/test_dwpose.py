import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composition.images import Box
from runners.structure.dwpose import DwPose, cut_out
from runners.structure.queries import PoseQuery
from tests.unit.runners.structure.seeing_pose_net import SCORE, SeeingPoseNet


def image_with_spot(height, width, x, y, radius=6):
    image = np.zeros((height, width, 3), np.uint8)
    rows, columns = np.indices((height, width))
    image[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = 255
    return image


def box(x0, y0, x1, y1):
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


@pytest.mark.parametrize(("height", "width"), [(480, 640), (333, 517), (1024, 683), (2048, 700)])
@pytest.mark.parametrize("person", [(0.2, 0.1, 0.6, 0.9), (0.5, 0.4, 0.95, 0.6), (0.0, 0.0, 1.0, 1.0)])
def test_a_spot_is_found_where_it_is_in_the_image(height, width, person):
    x0, y0, x1, y1 = person[0] * width, person[1] * height, person[2] * width, person[3] * height
    spot = (round(x0 * 0.4 + x1 * 0.6), round(y0 * 0.7 + y1 * 0.3))
    query = PoseQuery(image=image_with_spot(height, width, *spot), people=(box(x0, y0, x1, y1),))

    (((pose,),)) = DwPose(SeeingPoseNet()).estimate([query])

    assert pose.body.shape == (18, 3)
    assert np.abs(pose.body[:, :2] - spot).max() <= 2
    assert pose.body[:, 2] == pytest.approx(SCORE)


@settings(max_examples=30)
@given(
    height=st.integers(256, 1200),
    width=st.integers(256, 1200),
    corner=st.tuples(st.floats(0, 0.5), st.floats(0, 0.5)),
    size=st.tuples(st.floats(0.15, 0.5), st.floats(0.15, 0.5)),
    inside=st.tuples(st.floats(0.2, 0.8), st.floats(0.2, 0.8)),
)
def test_any_spot_in_any_person_box_comes_back_within_two_pixels(height, width, corner, size, inside):
    x0, y0 = corner[0] * width, corner[1] * height
    x1, y1 = x0 + size[0] * width, y0 + size[1] * height
    spot = (round(x0 + inside[0] * (x1 - x0)), round(y0 + inside[1] * (y1 - y0)))
    query = PoseQuery(image=image_with_spot(height, width, *spot, radius=5), people=(box(x0, y0, x1, y1),))

    ((pose,),) = DwPose(SeeingPoseNet()).estimate([query])

    step = max(1.25 * max(x1 - x0, (y1 - y0) * 0.75) / 288, 1) / 2  # image pixels per half pixel of the crop
    assert np.abs(pose.body[:, :2] - spot).max() <= max(2, 1 + step)


def test_the_crop_is_the_box_widened_by_a_quarter_at_the_nets_aspect():
    crop = cut_out(np.zeros((600, 800, 3), np.uint8), box(100, 50, 400, 450))

    inverse = lambda x, y: ((np.array([x, y]) - crop.affine[:, 2]) / (crop.affine[0, 0], crop.affine[1, 1])).tolist()  # noqa: E731
    assert inverse(144, 192) == pytest.approx([250, 250])
    assert inverse(0, 0) == pytest.approx([250 - 1.25 * 150, 250 - 1.25 * 200])
    assert crop.affine[0, 0] == pytest.approx(crop.affine[1, 1])


def test_a_wide_box_is_made_higher_not_narrower():
    crop = cut_out(np.zeros((600, 800, 3), np.uint8), box(100, 200, 700, 300))

    assert 288 / crop.affine[0, 0] == pytest.approx(600 * 1.25)
    assert 384 / crop.affine[1, 1] == pytest.approx(600 * 1.25 / 0.75)


@pytest.mark.parametrize(
    ("color", "expected"),
    [
        ((255, 0, 0), (2.2489083, -2.0357141, -1.8044444)),
        ((0, 255, 0), (-2.1179039, 2.4285715, -1.8044444)),
        ((0, 0, 255), (-2.1179039, -2.0357141, 2.64)),
        ((200, 100, 50), (1.3070468, -0.2850140, -0.9329847)),
    ],
    ids=["red", "green", "blue", "brown"],
)
def test_the_net_gets_red_green_and_blue_each_normalised_by_its_own_statistics(color, expected):
    """By hand: red (x - 123.675) / 58.395, green (x - 116.28) / 57.12, blue (x - 103.53) / 57.375."""
    image = np.full((400, 300, 3), color, np.uint8)

    crop = cut_out(image, box(100, 100, 150, 170))

    assert crop.pixels[:, 192, 144] == pytest.approx(expected, abs=1e-5)


def test_where_a_crop_leaves_the_image_the_net_gets_normalised_black():
    crop = cut_out(np.full((400, 300, 3), 255, np.uint8), box(0, 0, 300, 400))

    assert crop.pixels[:, 0, 0] == pytest.approx((-2.1179039, -2.0357141, -1.8044444), abs=1e-5)


def test_all_people_of_all_images_share_a_forward_and_answer_like_alone():
    first = PoseQuery(
        image=image_with_spot(480, 640, 200, 200), people=(box(100, 100, 300, 400), box(150, 50, 500, 450))
    )
    second = PoseQuery(image=image_with_spot(700, 500, 250, 300), people=(box(100, 100, 400, 600),))
    nobody = PoseQuery(image=image_with_spot(300, 300, 10, 10), people=())
    net = SeeingPoseNet()

    together = DwPose(net).estimate([first, nobody, second])

    assert net.batch_sizes == [3]
    assert [len(poses) for poses in together] == [2, 0, 1]
    alone = [DwPose(SeeingPoseNet()).estimate([query])[0] for query in (first, nobody, second)]
    for mine, theirs in zip(together, alone, strict=True):
        for left, right in zip(mine, theirs, strict=True):
            assert all(np.array_equal(left_part, vars(right)[name]) for name, left_part in vars(left).items())


def test_nobody_costs_no_forward():
    net = SeeingPoseNet()

    assert DwPose(net).estimate([PoseQuery(image=np.zeros((300, 300, 3), np.uint8), people=())]) == [()]
    assert net.batch_sizes == []


def test_a_net_exported_for_two_people_is_filled_up():
    net = SeeingPoseNet(fixed_batch=2)
    image = image_with_spot(480, 640, 200, 200)

    ((*poses,),) = DwPose(net).estimate([PoseQuery(image=image, people=(box(100, 100, 300, 400),) * 3)])

    assert net.batch_sizes == [2, 2]
    assert len(poses) == 3
    assert all(np.abs(pose.body[:, :2] - (200, 200)).max() <= 2 for pose in poses)
