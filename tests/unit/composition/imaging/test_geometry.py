"""Sizes, places and colours survive the way to the model and back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composition.images import Box, Pose
from composition.imaging.geometry import alike, crop, crop_box, crop_native_size, crop_pose, fit, paste

any_side = st.integers(1, 2048)
natives = st.sampled_from([256, 512, 768, 1024])


def noise(height, width):
    return np.random.default_rng(height * 4096 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def mask_of(height, width, *box):
    mask = np.zeros((height, width), np.uint8)
    x0, y0, x1, y1 = box
    mask[y0:y1, x0:x1] = 255
    return mask


@given(any_side, any_side, natives, st.sampled_from([8, 64]))
def test_every_size_fits_with_its_aspect(height, width, native, multiple):
    plan = fit((height, width), native_size=native, multiple=multiple)
    inner, outer = plan.content_size, plan.model_size
    assert max(inner) == max(outer) == native
    assert all(side % multiple == 0 for side in outer)
    assert all(0 <= canvas - content < multiple for canvas, content in zip(outer, inner, strict=True))
    assert plan.scale == native / max(height, width)
    for side, content in zip((height, width), inner, strict=True):
        assert content == max(1, math.floor(side * native / max(height, width) + 0.5))


@settings(max_examples=25)
@given(any_side, any_side, natives)
def test_every_size_comes_back_as_it_was(height, width, native):
    plan = fit((height, width), native_size=native)
    canvas = plan.to_model(np.zeros((height, width, 3), np.uint8))
    assert canvas.shape == (*plan.model_size, 3)
    assert plan.from_model(canvas).shape == (height, width, 3)
    assert plan.mask_to_model(np.zeros((height, width), np.uint8)).shape == plan.model_size
    assert plan.map_to_model(np.zeros((height, width), np.uint8)).shape == plan.model_size


@pytest.mark.parametrize("size", [(1, 1), (1, 2048), (2048, 1), (7, 2048), (2048, 256), (333, 517), (512, 512)])
def test_a_constant_image_stays_constant(size):
    colour = np.array([13, 200, 255], np.uint8)
    plan = fit(size, native_size=512)
    canvas = plan.to_model(np.broadcast_to(colour, (*size, 3)))
    assert (canvas == colour).all()
    assert (plan.from_model(canvas) == colour).all()
    assert (plan.map_to_model(np.full(size, 77, np.uint8)) == 77).all()


def test_a_image_of_the_native_size_passes_through_bit_for_bit():
    image = noise(512, 512)
    plan = fit((512, 512), native_size=512)
    assert np.array_equal(plan.to_model(image), image)
    assert np.array_equal(plan.from_model(image), image)


@pytest.mark.parametrize("size", [(512, 500), (500, 512)])
def test_the_padding_repeats_the_last_row_or_column_and_is_cropped_exactly(size):
    image = noise(*size)
    plan = fit(size, native_size=512)
    canvas = plan.to_model(image)
    assert plan.model_size == (512, 512)
    assert np.array_equal(canvas[: size[0], : size[1]], image)
    assert (canvas[size[0] :] == canvas[size[0] - 1 : size[0]]).all()
    assert (canvas[:, size[1] :] == canvas[:, size[1] - 1 : size[1]]).all()
    canvas[size[0] :], canvas[:, size[1] :] = 0, 0
    assert np.array_equal(plan.from_model(canvas), image)


def centroid(image):
    weights = 255.0 - image[..., 0]
    rows, columns = np.indices(weights.shape) + 0.5
    return (rows * weights).sum() / weights.sum(), (columns * weights).sum() / weights.sum()


@settings(max_examples=30)
@given(st.integers(64, 1024), st.integers(64, 1024), st.floats(0.2, 0.8), st.floats(0.2, 0.8))
def test_nothing_moves_on_the_way_to_the_model_and_back(height, width, down, across):
    image = np.full((height, width, 3), 255, np.uint8)
    y, x, radius = round(down * height), round(across * width), max(4, min(height, width) // 12)
    image[y - radius : y + radius, x - radius : x + radius] = 0
    plan = fit((height, width), native_size=512)
    canvas = plan.to_model(image)
    there = centroid(canvas[: plan.content_size[0], : plan.content_size[1]])
    assert there[0] == pytest.approx(y * plan.content_size[0] / height, abs=0.5)
    assert there[1] == pytest.approx(x * plan.content_size[1] / width, abs=0.5)
    back = centroid(plan.from_model(canvas))
    assert back == pytest.approx((y, x), abs=0.5)


def test_shrinking_averages_instead_of_skipping():
    stripes = np.zeros((1024, 1024, 3), np.uint8)
    stripes[:, ::2] = 255
    canvas = fit((1024, 1024), native_size=256).to_model(stripes)
    assert np.abs(canvas[:, 8:-8].astype(int) - 127).max() <= 2


def test_a_drawn_line_gets_no_halo():
    lines = np.zeros((300, 300, 3), np.uint8)
    lines[148:152] = (0, 153, 0)
    canvas = fit((300, 300), native_size=512).map_to_model(lines)
    assert canvas[..., 1].max() == 153
    assert not canvas[..., [0, 2]].any()


@settings(max_examples=60)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([16, 64, 128]), st.data())
def test_a_mask_on_the_canvas_is_what_its_pixels_reach_into(height, width, native, data):
    plan = fit((height, width), native_size=native, multiple=16)
    y, x = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    mask = np.zeros((height, width), np.uint8)
    mask[y, x] = data.draw(st.sampled_from([1, 255]))
    (content_h, content_w), expected = plan.content_size, np.zeros(plan.model_size, np.uint8)
    for row in range(content_h):
        for column in range(content_w):
            high = row * height < (y + 1) * content_h and (row + 1) * height > y * content_h
            wide = column * width < (x + 1) * content_w and (column + 1) * width > x * content_w
            expected[row, column] = 255 if high and wide else 0
    assert expected.any()
    assert np.array_equal(plan.mask_to_model(mask), expected)


def test_a_full_mask_leaves_only_the_padding_out():
    plan = fit((300, 400), native_size=512)
    canvas = plan.mask_to_model(np.full((300, 400), 255, np.uint8))
    assert plan.model_size == (384, 512)
    assert (canvas == 255).all()
    plan = fit((290, 400), native_size=512)
    canvas = plan.mask_to_model(np.full((290, 400), 255, np.uint8))
    assert plan.content_size == (371, 512)
    assert (canvas[:371] == 255).all()
    assert not canvas[371:].any()


def test_images_of_another_size_are_refused():
    plan = fit((300, 400), native_size=512)
    for call in (plan.to_model, plan.mask_to_model, plan.map_to_model, plan.from_model):
        with pytest.raises(ValueError, match="expected"):
            call(np.zeros((301, 400), np.uint8))
    with pytest.raises(ValueError, match="at least one pixel"):
        fit((0, 10), native_size=512)


def one_pose(*points):
    body = np.array(points, np.float32)
    rest = np.zeros((0, 3), np.float32)
    return Pose(body=body, feet=body, face=body, left_hand=rest, right_hand=rest)


def test_a_pose_follows_the_image_onto_the_canvas():
    moved = fit((200, 400), native_size=512).pose_to_model(one_pose((100, 50, 0.9), (400, 200, 0.1)))
    assert moved.body.tolist() == [pytest.approx((128, 64, 0.9)), pytest.approx((512, 256, 0.1))]
    assert moved.face.tolist() == moved.feet.tolist() == moved.body.tolist()
    assert moved.left_hand.shape == (0, 3)
    assert moved.body.dtype == np.float32


def test_a_pose_follows_a_crop():
    moved = crop_pose(one_pose((100, 50, 0.9), (10, 10, 0.5)), Box(x0=40, y0=20, x1=200, y1=200))
    assert moved.body.tolist() == [pytest.approx((60, 30, 0.9)), pytest.approx((-30, -10, 0.5))]


def test_a_small_mask_is_cropped_to_its_neighbourhood():
    mask = mask_of(1024, 1024, 500, 400, 560, 440)
    box = crop_box(mask, native_size=512, size=(1024, 1024))
    # 60 px long: half the native size is the largest of the lower bounds.
    assert box == Box(x0=402, y0=302, x1=658, y1=538)


def test_a_crop_has_as_much_context_as_is_asked_for():
    mask = mask_of(2048, 2048, 900, 900, 1200, 1200)
    sides = [
        crop_box(mask, native_size=512, size=(2048, 2048), context=context).x1
        - crop_box(mask, native_size=512, size=(2048, 2048), context=context).x0
        for context in (2.0, 3.0, 4.0)
    ]
    assert sides == [600, 900, 1200]
    assert crop_box(mask, native_size=512, size=(2048, 2048), context=8.0) is None


def test_a_crop_near_the_border_is_moved_and_keeps_its_context():
    mask = mask_of(1024, 1024, 1000, 0, 1024, 20)
    box = crop_box(mask, native_size=512, size=(1024, 1024))
    assert (box.x1, box.y0) == (1024, 0)
    assert (box.x1 - box.x0, box.y1 - box.y0) == (256, 252)


@pytest.mark.parametrize("box", [(0, 0, 1024, 1024), (100, 100, 700, 300), (0, 0, 0, 0), (10, 10, 11, 1000)], ids=str)
def test_a_mask_that_is_large_or_empty_is_not_cropped(box):
    assert crop_box(mask_of(1024, 1024, *box), native_size=512, size=(1024, 1024)) is None


def test_a_small_image_is_not_cropped():
    assert crop_box(mask_of(256, 256, 100, 100, 101, 101), native_size=512, size=(256, 256)) is None


def test_the_crop_of_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match="the mask is"):
        crop_box(np.zeros((10, 20), np.uint8), native_size=512, size=(20, 10))


@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([64, 256]), st.data())
def test_a_crop_holds_the_mask_with_context_on_whole_pixels(height, width, native, data):
    x0, y0 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, width)), data.draw(st.integers(y0 + 1, height))
    box = crop_box(mask_of(height, width, x0, y0, x1, y1), native_size=native, size=(height, width))
    if box is None:
        return
    assert all(float(side).is_integer() for side in (box.x0, box.y0, box.x1, box.y1))
    assert 0 <= box.x0 <= x0 < x1 <= box.x1 <= width
    assert 0 <= box.y0 <= y0 < y1 <= box.y1 <= height
    longest = max(box.x1 - box.x0, box.y1 - box.y0)
    assert longest <= 0.75 * max(height, width)
    wanted = max(2 * max(x1 - x0, y1 - y0), native / 2, max(height, width) / 4)
    assert longest >= min(wanted, width if x1 - x0 >= y1 - y0 else height)


@pytest.mark.parametrize(
    ("side", "image", "native"),
    [
        (256, 1024, 384),  # the floor: three quarters of 512
        (400, 1024, 448),  # every pixel of the image, rounded up to 64
        (700, 2048, 512),  # never above the native size
        (256, 512, 384),
        (200, 256, 448),  # what the whole image, enlarged to 512, would have shown: 400
    ],
)
def test_a_crop_is_diffused_at_the_size_that_loses_nothing(side, image, native):
    box = Box(x0=0, y0=0, x1=side, y1=side / 2)
    assert crop_native_size(box, size=(image, image), native_size=512) == native


def test_images_alike_have_one_canvas_and_each_is_as_large_in_it_as_the_largest():
    fits = alike([fit((300, 400), native_size=192), fit((500, 200), native_size=256), fit((90, 100), native_size=256)])
    assert {one.model_size for one in fits} == {(256, 256)}
    assert [max(one.content_size) for one in fits] == [256, 256, 256]
    for one in fits:
        image = noise(*one.size)
        assert one.to_model(image).shape == (256, 256, 3)
        assert one.from_model(one.to_model(image)).shape == image.shape
        assert not one.mask_to_model(np.full(one.size, 255, np.uint8))[one.content_size[0] :].any()


def test_pasting_is_the_inverse_of_cropping():
    image, box = noise(60, 80), Box(x0=10, y0=20, x1=50, y1=45)
    patch = crop(image, box)
    assert patch.shape == (25, 40, 3)
    assert np.array_equal(paste(np.zeros_like(image), patch, box)[20:45, 10:50], image[20:45, 10:50])
    assert np.array_equal(paste(image, patch, box), image)
    patch[:] = 0
    assert np.array_equal(image, noise(60, 80))
    changed = paste(image, patch, box)
    assert not changed[20:45, 10:50].any()
    changed[20:45, 10:50] = image[20:45, 10:50]
    assert np.array_equal(changed, image)


def test_a_patch_of_another_size_is_refused():
    with pytest.raises(ValueError, match="the patch is"):
        paste(noise(60, 80), noise(25, 41), Box(x0=10, y0=20, x1=50, y1=45))
