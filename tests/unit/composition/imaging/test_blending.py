"""What is put back: bits outside, colours inside."""

from __future__ import annotations

import cv2
import numpy as np
import PIL.Image
import PIL.ImageFilter
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from composition.imaging.blending import blend, match_color, sharpen
from composition.imaging.keeping import keep
from composition.imaging.masks import feather

SIZE = 160


def photo(seed=0, low=40, high=216):
    """A smooth, colourful image away from black and white, so that no shift is lost by clipping."""
    coarse = np.random.default_rng(seed).integers(low, high, (8, 8, 3), dtype=np.uint8)
    return np.array(PIL.Image.fromarray(coarse).resize((SIZE, SIZE), PIL.Image.Resampling.BICUBIC))


def middle_mask(low=50, high=110):
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[low:high, low:high] = 255
    return mask


def lab(image):
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def shifted(image, *, offset=(0.0, 0.0, 0.0), gain=1.0):
    """The image as a model with a colour cast would give it back."""
    values = lab(image)
    centre = values.mean(axis=(0, 1))
    moved = (values - centre) * np.float32(gain) + centre + np.array(offset, np.float32)
    return np.clip(np.rint(cv2.cvtColor(moved, cv2.COLOR_LAB2RGB) * 255), 0, 255).astype(np.uint8)


images = arrays.arrays(np.uint8, (3, 4, 3))
alphas = arrays.arrays(np.uint8, (3, 4))


@given(images, images, alphas)
def test_a_blend_is_the_exact_mean_rounded_to_the_nearest(original, generated, alpha):
    weight = alpha[..., None].astype(np.float64) / 255
    exact = original * (1 - weight) + generated * weight
    blended = blend(original, generated, alpha)
    assert blended.dtype == np.uint8
    assert np.abs(blended - exact).max() <= 0.5
    assert np.array_equal(blended[alpha == 0], original[alpha == 0])
    assert np.array_equal(blended[alpha == 255], generated[alpha == 255])


@given(images, images, alphas)
def test_a_blend_is_symmetric_and_keeps_what_is_equal(original, generated, alpha):
    assert np.array_equal(blend(original, generated, alpha), blend(generated, original, 255 - alpha))
    assert np.array_equal(blend(original, original, alpha), original)


def test_every_weight_between_every_two_values_is_right():
    first, second = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    originals, generateds = (np.repeat(values[..., None], 3, axis=2).astype(np.uint8) for values in (first, second))
    for weight in (1, 2, 64, 127, 128, 200, 254):
        exact = np.floor((first * (255 - weight) + second * weight) / 255 + 0.5)
        blended = blend(originals, generateds, np.full((256, 256), weight, np.uint8))
        assert np.array_equal(blended[..., 0], exact)


@pytest.mark.parametrize("offset", [(4, 0, 0), (-4, 3, -3), (0, -6, 6), (8, 4, 4)])
def test_a_planted_colour_shift_is_undone_inside(offset):
    original, mask = photo(), middle_mask()
    inside = mask > 0
    wanted = original.copy()
    wanted[inside] = photo(seed=5)[inside]
    matched = match_color(shifted(wanted, offset=offset), original, mask)
    before = np.abs(lab(shifted(wanted, offset=offset))[inside] - lab(wanted)[inside]).mean(axis=0)
    after = np.abs(lab(matched)[inside] - lab(wanted)[inside]).mean(axis=0)
    assert before.max() >= 3.9
    assert after.max() <= 0.6


def test_a_planted_loss_of_contrast_is_undone_inside():
    original, mask = photo(), middle_mask()
    dull = shifted(original, gain=0.85)
    matched = match_color(dull, original, mask)
    inside = mask > 0
    assert np.abs(lab(dull)[inside] - lab(original)[inside]).mean() >= 1.5
    assert np.abs(lab(matched)[inside] - lab(original)[inside]).mean() <= 0.6


def test_the_region_is_never_made_like_its_surroundings():
    original = photo()
    generated, mask = original.copy(), middle_mask()
    generated[mask > 0] = (10, 60, 250)
    assert np.array_equal(match_color(generated, original, mask), generated)


def test_without_a_ring_nothing_is_corrected():
    original = photo()
    generated = shifted(original, offset=(5, 5, 5))
    assert np.array_equal(match_color(generated, original, np.full((SIZE, SIZE), 255, np.uint8)), generated)
    assert np.array_equal(match_color(generated, original, np.zeros((SIZE, SIZE), np.uint8)), generated)


def test_a_new_shadow_in_the_ring_is_no_colour_shift():
    original, mask = photo(), middle_mask()
    generated = original.copy()
    generated[110:118, 50:110] = generated[110:118, 50:110] // 3
    assert np.array_equal(match_color(generated, original, mask), generated)


def test_a_shift_beside_a_shadow_is_still_undone():
    original, mask = photo(), middle_mask()
    generated = shifted(original, offset=(4, -3, 3))
    generated[110:118, 50:110] = generated[110:118, 50:110] // 3
    matched = match_color(generated, original, mask)
    inside = mask > 0
    assert np.abs(lab(matched)[inside] - lab(original)[inside]).mean() <= 0.8


def test_a_ring_that_shows_something_else_moves_colours_by_a_bounded_amount():
    original, mask = np.full((SIZE, SIZE, 3), (40, 120, 250), np.uint8), middle_mask()
    generated = np.random.default_rng(3).integers(110, 150, (SIZE, SIZE, 3), dtype=np.uint8)
    change = np.abs(lab(match_color(generated, original, mask)) - lab(generated)).max(axis=(0, 1))
    # One unit of tolerance for rounding to eight bits.
    assert (change <= (13, 9, 9)).all()
    assert change[2] >= 7.5


def test_a_flat_ring_gives_its_offset_and_no_gain():
    original = np.full((SIZE, SIZE, 3), (120, 130, 140), np.uint8)
    generated = np.full((SIZE, SIZE, 3), (126, 130, 134), np.uint8)
    mask = middle_mask()
    generated[mask > 0] = (206, 60, 54)
    matched = match_color(generated, original, mask)
    assert np.abs(matched[47, 80].astype(int) - original[47, 80]).max() <= 1
    assert np.abs(lab(matched)[80, 80] - lab(generated)[80, 80] - (lab(original) - lab(generated))[0, 0]).max() <= 0.6


def kept(generated, original, mask):
    return keep(generated, original, mask).image


@pytest.mark.parametrize("step", [match_color, kept])
def test_a_black_and_a_white_image_stay_images(step):
    black, white = np.zeros((SIZE, SIZE, 3), np.uint8), np.full((SIZE, SIZE, 3), 255, np.uint8)
    for generated, original in ((black, white), (white, black), (black, black)):
        result = step(generated, original, middle_mask())
        assert (result.shape, result.dtype) == (black.shape, np.uint8)
    assert np.array_equal(step(black, black, middle_mask()), black)


def test_sharpening_is_an_unsharp_mask_that_alpha_fades_in():
    image, alpha = photo(), feather(middle_mask(), 21)
    sharp = np.array(PIL.Image.fromarray(image).filter(PIL.ImageFilter.UnsharpMask(radius=1, percent=30, threshold=0)))
    sharpened = sharpen(image, alpha)
    assert np.array_equal(sharpened[alpha == 0], image[alpha == 0])
    assert np.array_equal(sharpened[alpha == 255], sharp[alpha == 255])


def test_sharpening_steepens_an_edge_by_its_amount():
    image = np.full((20, 20, 3), 100, np.uint8)
    image[:, 10:] = 150
    row = sharpen(image, np.full((20, 20), 255, np.uint8))[10, :, 0].astype(int)
    assert row[9] < 100 < 150 < row[10]
    assert row[9] >= 100 - 0.3 * 25 - 1
    assert row[0] == 100


def test_a_flat_image_has_nothing_to_sharpen():
    image = np.full((20, 20, 3), 77, np.uint8)
    assert np.array_equal(sharpen(image, np.full((20, 20), 255, np.uint8)), image)


def test_a_decoders_grain_and_blur_are_no_colour_shift():
    original, mask = photo(), middle_mask()
    grain = np.random.default_rng(9).normal(0, 3, original.shape)
    generated = np.clip(cv2.GaussianBlur(original.astype(np.float32), (0, 0), 1.0) + grain, 0, 255).astype(np.uint8)
    matched = match_color(generated, original, mask)
    drift = cv2.blur(lab(matched) - lab(generated), (15, 15))[mask > 0]
    assert np.abs(drift).max() <= 1.0
