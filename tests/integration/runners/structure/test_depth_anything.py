from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoImageProcessor

from composition.errors import ModelError
from runners.structure.depth_anything import DepthAnything, to_depth_map


class RedIsNear:
    """Inverse depth is the image's red channel, at the size that the processor asked for."""

    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self):
        self.shapes = []

    def eval(self):
        return self

    def __call__(self, pixels):
        self.shapes.append(tuple(pixels.shape))
        return SimpleNamespace(predicted_depth=pixels[:, 0] * 7 + 30)


def ramp(height, width):
    """Red rises from left to right."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(20, 235, width).round()[None]
    return image


@pytest.fixture(scope="module")
def processor(tiny_models):
    return AutoImageProcessor.from_pretrained(tiny_models.path("depth-anything"))


@pytest.mark.parametrize(("height", "width"), [(333, 517), (1024, 683), (256, 700)])
def test_a_planted_ramp_comes_back_at_the_size_of_the_image_near_is_white(processor, height, width):
    (depth,) = DepthAnything(RedIsNear(), processor).estimate([ramp(height, width)])

    assert (depth.shape, depth.dtype) == ((height, width), np.uint8)
    assert (int(depth.min()), int(depth.max())) == (0, 255)
    expected = np.linspace(0, 255, width)
    assert np.abs(depth.astype(float) - expected).max() <= 4
    for level in (64, 128, 192):  # the ramp crosses each level where it was planted, within two pixels
        crossed = int(np.argmax(depth[height // 2] >= level))
        assert crossed == pytest.approx(level / 255 * (width - 1), abs=2)


def test_a_flat_scene_is_all_zeros(processor):
    (depth,) = DepthAnything(RedIsNear(), processor).estimate([np.full((300, 400, 3), 90, np.uint8)])

    assert depth.shape == (300, 400)
    assert not depth.any()


def test_rounding_noise_is_not_blown_up_into_depth():
    noise = 1000 + torch.rand(50, 60) * 1e-3

    assert not to_depth_map(noise).any()


def test_a_small_but_real_range_of_depth_is_scaled_up():
    depth = to_depth_map(torch.linspace(0.0, 0.01, 256)[None].repeat(3, 1))

    assert depth[0].tolist() == list(range(256))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_depth_that_is_no_number_is_an_error_not_a_image(value):
    depth = torch.ones(4, 4)
    depth[1, 2] = value

    with pytest.raises(ModelError):
        to_depth_map(depth)


def test_images_of_one_size_share_a_forward_but_not_their_scale(processor):
    model = RedIsNear()
    bright, dark = ramp(300, 400), ramp(300, 400) // 4

    first, second = DepthAnything(model, processor).estimate([bright, dark])

    assert [shape[0] for shape in model.shapes] == [2]
    assert (int(first.max()), int(second.max())) == (255, 255)


def test_the_model_of_the_store_estimates_a_batch_like_each_alone(tiny_models):
    depth = DepthAnything.load(tiny_models.path("depth-anything"), torch.device("cpu"), torch.float32)
    rng = np.random.default_rng(3)
    images = [np.kron(rng.integers(0, 256, (6, 8, 3)), np.ones((50, 50, 1))).astype(np.uint8) for _ in range(3)]

    together = depth.estimate(images)

    for photo, found in zip(images, together, strict=True):
        (alone,) = depth.estimate([photo])
        assert found.shape == (300, 400)
        assert (int(found.min()), int(found.max())) == (0, 255)
        assert np.abs(found.astype(int) - alone.astype(int)).max() <= 1
