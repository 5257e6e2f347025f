"""Masks pixel by pixel: one pixel, everything, nothing, and boxes that are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from composition.errors import EmptyMask
from composition.images import Box
from composition.imaging import masks

NAN, INFINITY = float("nan"), float("inf")

small_masks = arrays.arrays(
    np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24)), elements=st.sampled_from([0, 255])
)


def one_pixel(size=41, y=20, x=20):
    mask = np.zeros((size, size), np.uint8)
    mask[y, x] = 255
    return mask


def distances(mask):
    """Distance of every pixel to the nearest masked one, by comparing all of them."""
    masked = np.argwhere(mask > 0)
    places = np.stack(np.indices(mask.shape), axis=-1)
    return np.sqrt(np.square(places[:, :, None] - masked[None, None]).sum(axis=-1).min(axis=2))


@pytest.mark.parametrize(("size", "expected"), [((512, 512), 15), ((1024, 600), 30), ((100, 256), 7.5)])
def test_pixels_scale_with_the_long_side(size, expected):
    assert masks.scale_px(15, size) == expected


def test_a_users_mask_is_binarised_in_the_middle():
    assert masks.binarize(np.array([[0, 1, 127, 128, 254, 255]], np.uint8)).tolist() == [[0, 0, 0, 255, 255, 255]]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((1, 2, 3, 4), (1, 2, 3, 4)),
        ((-5, -5, 3, 4), (0, 0, 3, 4)),
        ((5, 5, 99, 99), (5, 5, 20, 10)),
        ((0, 0, 20, 10), (0, 0, 20, 10)),
        ((-9, -9, 99, 99), (0, 0, 20, 10)),
        ((3, 2, 1, 4), None),
        ((1, 4, 3, 2), None),
        ((2, 2, 2, 8), None),
        ((20, 0, 25, 5), None),
        ((-5, 0, 0, 5), None),
        ((NAN, 0, 5, 5), None),
        ((0, 0, 5, NAN), None),
        ((0, 0, INFINITY, 5), None),
        ((-INFINITY, 0, 5, 5), None),
    ],
    ids=str,
)
def test_boxes_are_clipped_to_the_image_or_dropped(box, expected):
    x0, y0, x1, y1 = box
    clipped = masks.clip_box(Box(x0=x0, y0=y0, x1=x1, y1=y1), (10, 20))
    assert clipped == (None if expected is None else Box(**dict(zip(("x0", "y0", "x1", "y1"), expected, strict=True))))


def test_a_box_masks_every_pixel_that_it_reaches_into():
    mask = masks.boxes_to_mask([Box(x0=1.2, y0=0.0, x1=3.0, y1=1.1)], (3, 5))
    assert (mask // 255).tolist() == [[0, 1, 1, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]]


def test_several_boxes_share_a_mask_and_bad_ones_add_nothing():
    boxes = [
        Box(x0=0, y0=0, x1=1, y1=1),
        Box(x0=3, y0=2, x1=9, y1=9),
        Box(x0=2, y0=2, x1=1, y1=1),
        Box(x0=NAN, y0=0, x1=5, y1=5),
    ]
    mask = masks.boxes_to_mask(boxes, (3, 5))
    assert (mask // 255).tolist() == [[1, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 1, 1]]
    assert not masks.boxes_to_mask([], (3, 5)).any()


def test_a_union_takes_the_larger_value_and_a_complement_the_rest():
    first, second = np.array([[0, 255, 9]], np.uint8), np.array([[7, 8, 10]], np.uint8)
    assert masks.union([first, second]).tolist() == [[7, 255, 10]]
    assert masks.union([first]).tolist() == first.tolist()
    assert masks.complement(masks.union([first, second])).tolist() == [[248, 0, 245]]
    with pytest.raises(ValueError, match="at least one"):
        masks.union([])


@given(small_masks, st.floats(0, 12))
def test_dilation_reaches_exactly_as_far_as_asked(mask, px):
    expected = np.zeros_like(mask)
    if mask.any():
        # Distances of whole pixels differ by more than this tolerance, so it only absorbs rounding.
        expected[distances(mask) <= px + 1e-3] = 255
    assert np.array_equal(masks.dilate(mask, px), expected)


def test_one_pixel_grows_into_a_disc():
    grown = masks.dilate(one_pixel(7, 3, 3), 2) // 255
    assert grown.tolist() == [
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 1, 0, 0, 0],
        [0, 0, 1, 1, 1, 0, 0],
        [0, 1, 1, 1, 1, 1, 0],
        [0, 0, 1, 1, 1, 0, 0],
        [0, 0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize(
    "step",
    [
        masks.binarize,
        lambda mask: masks.dilate(mask, 15),
        lambda mask: masks.feather(mask, 21),
        lambda mask: masks.align_to_latent_grid(mask, 8),
    ],
    ids=["binarize", "dilate", "feather", "align"],
)
def test_nothing_stays_nothing_and_everything_stays_everything(step, value):
    mask = np.full((37, 53), value, np.uint8)
    result = step(mask)
    assert result.dtype == np.uint8
    assert np.array_equal(result, mask)


@settings(max_examples=60)
@given(small_masks, st.floats(0, 63))
def test_a_feathered_mask_is_opaque_inside_and_clear_beyond_its_radius(mask, px):
    alpha = masks.feather(mask, px)
    assert alpha.shape == mask.shape
    assert (alpha[mask > 0] == 255).all()
    assert not alpha[masks.dilate(mask, px // 2) == 0].any()


def test_the_rim_of_a_straight_edge_is_a_blurred_step_outside_the_mask():
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :30] = 255
    profile = masks.feather(mask, 21)[32]
    assert profile[:30].tolist() == [255] * 30
    assert profile[30:40].tolist() == [255, 248, 231, 200, 154, 101, 55, 24, 7, 0]
    # Half-way at half the radius, symmetric about it.
    assert all(abs(int(profile[30 + i]) + int(profile[39 - i]) - 255) <= 1 for i in range(5))


def test_a_firmed_rim_is_narrower_and_nothing_that_was_spared_is_touched():
    alpha = masks.feather_inwards(np.pad(np.full((60, 60), 255, np.uint8), 20), 41)
    firmed = masks.firmed(alpha)

    assert np.array_equal(firmed > 0, alpha > 0)
    assert (firmed >= alpha).all()
    assert (firmed == 255).sum() > 1.5 * (alpha == 255).sum()


def test_a_masks_rim_has_no_seam():
    mask = np.zeros((120, 120), np.uint8)
    mask[30:80, 40:90] = 255
    alpha = masks.feather(mask, 21).astype(int)
    steepest = max(np.abs(np.diff(alpha, axis=0)).max(), np.abs(np.diff(alpha, axis=1)).max())
    assert 0 < steepest <= 60


@given(small_masks, st.sampled_from([0, 4, 9, 21, 63]))
def test_feathered_inwards_a_mask_gains_no_pixel_and_loses_none(mask, px):
    alpha = masks.feather_inwards(mask, px)
    assert np.array_equal(alpha > 0, mask > 0)
    assert not mask.any() or alpha.max() == 255


def test_the_rim_of_a_mask_feathered_inwards_rises_over_half_the_kernel_and_ends_there():
    mask = np.zeros((80, 80), np.uint8)
    mask[20:60, 20:60] = 255
    row = masks.feather_inwards(mask, 21)[40].astype(int)
    assert (np.diff(row[20:30]) > 0).all()
    assert row[19] == 0
    assert row[20] < 20
    assert (row[29:51] == 255).all()
    assert np.array_equal(row, row[::-1])


def test_a_thin_mask_feathered_inwards_is_opaque_along_its_middle():
    mask = np.zeros((80, 80), np.uint8)
    mask[:, 38:43] = 255
    alpha = masks.feather_inwards(mask, 21)
    assert (alpha[:, 40] == 255).all(), "up to the image's border, which is no rim"
    assert 0 < alpha[40, 38] < 128


def test_a_mask_of_everything_feathered_inwards_is_opaque():
    assert (masks.feather_inwards(np.full((40, 30), 255, np.uint8), 21) == 255).all()


def test_one_pixel_is_feathered_round_and_stays_opaque():
    alpha = masks.feather(one_pixel(), 21)
    assert alpha[20, 20] == 255
    assert np.array_equal(alpha, alpha.T)
    assert np.array_equal(alpha, alpha[::-1, ::-1])
    rings = [alpha[20, 20 + step] for step in range(11)]
    assert rings == sorted(rings, reverse=True)
    assert rings[1] > 240
    assert rings[10] == 0
    assert abs(int(alpha[20, 25]) - int(alpha[24, 23])) <= 25  # both 5 px away


def test_a_mask_that_leaves_the_image_is_opaque_up_to_the_border():
    mask = np.zeros((40, 40), np.uint8)
    mask[25:, 10:] = 255
    alpha = masks.feather(mask, 31)
    assert (alpha[25:, 10:] == 255).all()
    assert alpha[20, 39] == alpha[20, 30] > 0


@pytest.mark.parametrize("px", [0, 1, 3])
def test_a_kernel_without_room_leaves_the_mask_hard(px):
    assert np.array_equal(masks.feather(one_pixel(), px), one_pixel())


def test_an_even_kernel_is_the_next_odd_one():
    assert np.array_equal(masks.feather(one_pixel(), 20), masks.feather(one_pixel(), 21))
    assert not np.array_equal(masks.feather(one_pixel(), 21), masks.feather(one_pixel(), 22))


@given(small_masks, st.sampled_from([1, 2, 8]))
def test_every_cell_that_is_touched_becomes_whole(mask, cell):
    aligned = masks.align_to_latent_grid(mask, cell)
    for top in range(0, mask.shape[0], cell):
        for left in range(0, mask.shape[1], cell):
            expected = 255 if mask[top : top + cell, left : left + cell].any() else 0
            assert (aligned[top : top + cell, left : left + cell] == expected).all()


def test_nearest_neighbour_sampling_of_an_aligned_mask_loses_nothing():
    for y, x in ((0, 0), (7, 7), (8, 15), (63, 1)):
        aligned = masks.align_to_latent_grid(one_pixel(64, y, x), 8)
        for offset in range(8):
            sampled = aligned[offset::8, offset::8]
            assert np.argwhere(sampled).tolist() == [[y // 8, x // 8]]


def test_an_empty_mask_is_refused_and_one_pixel_is_enough():
    with pytest.raises(EmptyMask):
        masks.ensure_not_empty(np.zeros((9, 9), np.uint8))
    mask = one_pixel()
    assert masks.ensure_not_empty(mask) is mask


def test_the_area_is_the_share_of_pixels_that_may_change():
    assert masks.area_fraction(np.zeros((4, 5), np.uint8)) == 0.0
    assert masks.area_fraction(np.full((4, 5), 255, np.uint8)) == 1.0
    assert masks.area_fraction(one_pixel(10, 3, 3)) == 0.01
    assert masks.area_fraction(np.array([[0, 1, 128, 255]], np.uint8)) == 0.75


def test_what_is_spared_does_not_change_at_all_and_the_rest_almost_as_before():
    alpha, protected = np.full((64, 64), 255, np.uint8), np.zeros((64, 64), np.uint8)
    protected[20:30, 20:30] = 255
    spared = masks.spare(alpha, protected, 9)
    assert not spared[protected > 0].any()
    assert (spared[masks.dilate(protected, 4.01) == 0] == 255).all()
    assert np.array_equal(masks.spare(alpha, np.zeros_like(protected), 9), alpha)
