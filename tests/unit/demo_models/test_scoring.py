import numpy as np
import pytest

from demo_models.world.scenes import render, sample_spec
from demo_models.world.scoring import (
    changed_beyond,
    colour_difference,
    colour_progress,
    intersection_over_union,
    keypoint_similarity,
    light_structure,
    mean_colour,
    mean_difference,
    object_mask,
    silhouette_overlap,
    texture_difference,
)

WHITE = np.array([255.0, 255.0, 255.0])
BLACK = np.array([0.0, 0.0, 0.0])


def flat(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((8, 8, 3), colour, np.uint8)


EVERYWHERE = np.full((8, 8), 255, np.uint8)


def test_black_and_white_are_a_hundred_apart():
    assert colour_difference(WHITE, BLACK) == pytest.approx(100, abs=0.01)
    assert colour_difference(WHITE, WHITE) == 0


def srgb(lightness: float, a: float, b: float) -> np.ndarray:
    """CIELAB (D65) as sRGB in 0..255, not rounded: the formulas of CIE 15 and IEC 61966-2-1."""
    y = (lightness + 16) / 116
    steps = np.array([y + a / 500, y, y - b / 200])
    xyz = np.where(steps > 6 / 29, steps**3, 3 * (6 / 29) ** 2 * (steps - 4 / 29)) * [0.95047, 1.0, 1.08883]
    matrix = [[3.2404542, -1.5371385, -0.4985314], [-0.969266, 1.8760108, 0.041556], [0.0556434, -0.2040259, 1.0572252]]
    linear = np.array(matrix) @ xyz
    return 255 * np.where(linear > 0.0031308, 1.055 * np.abs(linear) ** (1 / 2.4) - 0.055, 12.92 * linear)


@pytest.mark.parametrize(
    ("first", "second", "published"),
    [
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((63.0109, -31.0961, -5.8663), (62.8187, -29.7946, -4.0864), 1.2630),
        ((61.2901, 3.7196, -5.3901), (61.4292, 2.2480, -4.9620), 1.8731),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
        ((36.4612, 47.8580, 18.3852), (36.2715, 50.5065, 21.2231), 1.4146),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ],
)
def test_the_pairs_of_the_ciede2000_test_data_are_as_far_apart_as_published(first, second, published):
    """Sharma, Wu and Dalal, 2005, table 1: those pairs that sRGB has."""
    assert colour_difference(srgb(*first), srgb(*second)) == pytest.approx(published, abs=0.01)


def test_the_mean_is_taken_inside_the_region_only():
    image = flat((10, 20, 30))
    image[:4] = 200
    region = np.zeros((8, 8), np.uint8)
    region[4:] = 255
    assert mean_colour(image, region).tolist() == [10, 20, 30]


def test_an_empty_region_has_no_colour():
    with pytest.raises(ValueError, match="empty region"):
        mean_colour(flat((1, 2, 3)), np.zeros((8, 8), np.uint8))


def test_progress_is_one_at_the_truth_and_zero_where_nothing_happened():
    red, blue = flat((200, 30, 30)), flat((30, 60, 200))
    assert colour_progress(red, blue, blue, EVERYWHERE) == pytest.approx(1)
    assert colour_progress(red, red, blue, EVERYWHERE) == pytest.approx(0)
    assert colour_progress(red, flat((240, 240, 0)), blue, EVERYWHERE) < 0


def test_progress_towards_what_is_there_already_cannot_be_measured():
    red = flat((200, 30, 30))
    with pytest.raises(ValueError, match="same colour"):
        colour_progress(red, red, red, EVERYWHERE)


def test_overlap_of_masks():
    first, second = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert intersection_over_union(first, second) == 1
    first[:2], second[1:3] = True, True
    assert intersection_over_union(first, second) == pytest.approx(1 / 3)


def test_an_object_is_what_differs_clearly_from_the_empty_scene():
    empty, scene = flat((100, 100, 100)), flat((100, 100, 100))
    scene[2:4] = 200
    scene[5] = 105
    assert object_mask(scene, empty).sum() == 16


def test_silhouettes_are_compared_inside_the_window():
    empty, truth, result = (flat((100, 100, 100)) for _ in range(3))
    truth[:4], result[:2] = 0, 0
    window = np.ones((8, 8), bool)
    assert silhouette_overlap(result, truth, empty, window) == pytest.approx(0.5)
    window[2:] = False
    assert silhouette_overlap(result, truth, empty, window) == 1


def test_pixels_near_a_true_shape_may_change_and_others_not():
    before, result = flat((9, 9, 9)), flat((9, 9, 9))
    shapes = np.zeros((8, 8), bool)
    shapes[0] = True
    result[:4] = 50
    assert changed_beyond(before, result, shapes, reach_px=3) == 0
    assert changed_beyond(before, result, shapes, reach_px=2) == 8
    result[7, 7, 2] = 10
    assert changed_beyond(before, result, shapes, reach_px=3) == 1


def shaded(colour: tuple[int, int, int], contrast: float) -> np.ndarray:
    ramp = 1 + contrast * (np.arange(32) / 31 - 0.5)
    return np.clip(np.array(colour) * ramp[:, None, None] * np.ones((32, 32, 1)), 0, 255).astype(np.uint8)


INSIDE = np.ones((32, 32), bool)


def test_light_and_shade_agree_whatever_the_hue_and_a_flat_fill_has_none():
    truth = shaded((60, 90, 200), 0.8)
    assert light_structure(truth, truth, INSIDE) == pytest.approx(1)
    assert light_structure(shaded((80, 80, 190), 0.8), truth, INSIDE) > 0.9
    assert light_structure(shaded((60, 90, 200), 0.0), truth, INSIDE) < 0.1
    assert light_structure(truth[::-1], truth, INSIDE) < -0.8


def test_a_flat_fill_is_right_for_what_is_flat():
    black = shaded((6, 6, 6), 0.0)
    assert light_structure(black, black, INSIDE) == pytest.approx(1)


def test_textures_are_alike_wherever_their_grain_lies():
    noise = np.random.default_rng(1).integers(60, 200, (32, 32, 3)).astype(np.uint8)
    moved = np.roll(noise, 5, axis=0)
    flat_one = np.full_like(noise, 130)
    coarse = np.repeat(np.repeat(noise[::4, ::4], 4, axis=0), 4, axis=1)
    own = texture_difference(moved, noise, INSIDE)
    assert texture_difference(noise, noise, INSIDE) == 0
    assert own < 0.1 * texture_difference(flat_one, noise, INSIDE)
    assert own < 0.1 * texture_difference(coarse, noise, INSIDE)


def test_what_lies_outside_the_region_does_not_count():
    one, other = shaded((60, 90, 200), 0.8), shaded((60, 90, 200), 0.8)
    other[16:] = np.random.default_rng(2).integers(0, 256, (16, 32, 3))
    upper = np.zeros((32, 32), bool)
    upper[:16] = True
    assert texture_difference(other, one, upper) == pytest.approx(0, abs=1e-9)
    assert light_structure(other, one, upper) == pytest.approx(1)
    assert mean_difference(other, one, upper) == 0
    assert mean_difference(other, one, ~upper) > 10


def test_the_true_pose_is_similar_and_another_is_not():
    joints = render(sample_spec(3, "person")).keypoints
    assert joints is not None
    area_px = 8000.0
    assert keypoint_similarity(joints, joints, area_px) == 1
    assert 0.5 < keypoint_similarity(joints + 2, joints, area_px) < 1
    assert keypoint_similarity(joints + 60, joints, area_px) < 0.05


def test_a_joint_that_was_not_found_is_wrong_and_the_neck_does_not_count():
    joints = render(sample_spec(3, "person")).keypoints
    assert joints is not None
    lost = joints.copy()
    lost[3], lost[1] = np.nan, 0
    assert keypoint_similarity(lost, joints, 8000.0) == pytest.approx(16 / 17)
