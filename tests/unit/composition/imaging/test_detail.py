"""The original's detail in the generated colours."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composition.imaging.detail import keep_detail

SIZE = 256
BLUE, RED = np.array([30, 60, 190]), np.array([200, 40, 40])


def middle_mask(size: int = SIZE) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    mask[size // 4 : -size // 4, size // 4 : -size // 4] = 255
    return mask


def folds(colour: np.ndarray, size: int = SIZE, fine_px: float = 5.0) -> np.ndarray:
    """A cloth of one colour: broad light and shade across it, and fine folds that a model would blur."""
    across = np.arange(size)
    light = 0.65 + 0.25 * np.sin(2 * np.pi * across * 4 / size) + 0.1 * np.sin(2 * np.pi * across / fine_px)
    return np.rint(colour * light[None, :, None] * np.ones((size, 1, 1))).astype(np.uint8)


def soft(image: np.ndarray, sigma_px: float = 3.0) -> np.ndarray:
    """What an autoencoder makes of it."""
    return cv2.GaussianBlur(image, (0, 0), sigma_px)


def distance(one: np.ndarray, two: np.ndarray, mask: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - two)[mask > 0].mean())


def test_folds_that_the_model_blurred_come_back_in_the_new_colour():
    original, truth = folds(BLUE), folds(RED)
    generated = soft(truth, 2.0)
    kept = keep_detail(generated, original, middle_mask())
    assert distance(kept, truth, middle_mask()) < 0.7 * distance(generated, truth, middle_mask())


def test_an_edge_between_two_parts_that_the_model_smeared_is_sharp_again():
    mask = middle_mask()
    original, truth = (np.full((SIZE, SIZE, 3), colour, np.uint8) for colour in (BLUE, RED))
    original[:, 110:150], truth[:, 110:150] = 25, 25  # a dark window in the car keeps its colour
    generated = soft(truth, 2.0)
    kept = keep_detail(generated, original, mask)
    worst = [np.abs(image.astype(int) - truth)[mask > 0].max() for image in (kept, generated)]
    assert worst[0] < 0.6 * worst[1]


def test_a_pattern_that_was_painted_over_does_not_shine_through():
    stripes = np.zeros((SIZE, SIZE, 3), np.uint8)
    stripes[:, ::8], stripes[:, 1::8], stripes[:, 2::8], stripes[:, 3::8] = 250, 250, 250, 250
    generated = np.full((SIZE, SIZE, 3), (120, 50, 160), np.uint8)
    kept = keep_detail(generated, stripes, middle_mask())
    assert np.abs(kept.astype(int) - generated)[middle_mask() > 0].max() <= 1


def test_an_unchanged_image_stays_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    kept = keep_detail(image, image, middle_mask())
    assert np.abs(kept.astype(int) - image).max() <= 2


def test_colours_are_learnt_inside_the_mask_only():
    mask = middle_mask()
    original, generated = folds(BLUE), folds(RED)
    other = generated.copy()
    other[mask == 0] = 255
    difference = np.abs(keep_detail(generated, original, mask).astype(int) - keep_detail(other, original, mask))
    assert difference[mask > 0].max() <= 1


def test_a_large_photograph_keeps_detail_that_the_model_never_saw():
    size = 1536
    original, truth = folds(BLUE, size), folds(RED, size)
    painted = cv2.resize(truth, (512, 512), interpolation=cv2.INTER_AREA)
    generated = cv2.resize(painted, (size, size), interpolation=cv2.INTER_CUBIC)
    kept = keep_detail(generated, original, middle_mask(size))
    assert distance(kept, truth, middle_mask(size)) < 0.6 * distance(generated, truth, middle_mask(size))


def test_an_empty_mask_changes_nothing():
    generated = folds(RED)
    assert np.array_equal(keep_detail(generated, folds(BLUE), np.zeros((SIZE, SIZE), np.uint8)), generated)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 90), st.integers(1, 90))
def test_any_image_and_mask_give_a_image(seed, height, width):
    rng = np.random.default_rng(seed)
    generated, original = rng.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    mask = (rng.random((height, width)) < 0.3).astype(np.uint8) * np.uint8(255)
    kept = keep_detail(generated, original, mask)
    assert (kept.shape, kept.dtype) == (generated.shape, np.uint8)


@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_stay_black_and_white(value):
    flat = np.full((SIZE, SIZE, 3), value, np.uint8)
    assert np.array_equal(keep_detail(flat, folds(BLUE), middle_mask()), flat)
