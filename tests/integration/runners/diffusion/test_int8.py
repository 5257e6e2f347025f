"""Weights held as int8: how many bytes, which layers, how far from before; and a family that paints with them."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from runners import int8 as int8_weights
from runners.diffusion.engine.counters import Counters
from runners.diffusion.families.stable_diffusion.build import build_family
from runners.diffusion.families.stable_diffusion.components import load_components
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from runners.int8 import Int8Conv2d, Int8Linear, quantise, weight_bytes
from tests.integration.runners.diffusion.denoising import denoise_alone, family_of
from tests.integration.runners.diffusion.requests import control, photo, request

pytestmark = pytest.mark.integration


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(16, 64, 3), nn.Flatten(), nn.Linear(64 * 36, 32), nn.Linear(32, 4)).eval()


def test_large_layers_become_int8_and_small_ones_stay():
    module = network()
    done = quantise(module)
    assert [type(layer).__name__ for layer in module] == ["Int8Conv2d", "Flatten", "Int8Linear", "Linear"]
    assert done.quantised == 64 * 16 * 9 + 64 * 36 * 32
    assert done.parameters == done.quantised + 64 + 32 + 32 * 4 + 4
    assert done.bytes_before == 4 * done.parameters
    assert done.bytes_after == weight_bytes(module) == done.quantised + 4 * (done.parameters - done.quantised + 64 + 32)


def test_no_weight_is_farther_away_than_half_a_step_of_its_channel():
    plain, int8 = network(), network()
    quantise(int8)
    for before, after in ((plain[0], int8[0]), (plain[2], int8[2])):
        step = before.weight.flatten(1).abs().amax(dim=1) / 127
        error = (before.weight - after.weight).flatten(1).abs().amax(dim=1)
        assert torch.all(error <= step / 2 * 1.001)
        assert error.max() > 0


def test_what_comes_out_is_close_and_the_second_time_changes_nothing():
    plain, int8 = network(), network()
    quantise(int8)
    x = torch.randn(2, 16, 8, 8)
    with torch.inference_mode():
        expected, found = plain[:3](x), int8[:3](x)
        assert torch.linalg.vector_norm(found - expected) < 0.02 * torch.linalg.vector_norm(expected)
        assert quantise(int8).quantised == 0
        assert torch.equal(int8[:3](x), found)


def test_a_channel_of_zeros_stays_zero_and_half_precision_stays_half_precision():
    layer = nn.Linear(128, 64).half()
    layer.weight.data[3] = 0
    holder = nn.Sequential(layer)
    quantise(holder)
    assert layer.weight.dtype is torch.float16
    assert torch.count_nonzero(layer.weight[3]) == 0
    assert torch.isfinite(layer.weight).all()


def test_of_the_unet_only_linear_layers_are_taken():
    module = network()
    quantise(module, linear_only=True)
    assert type(module[0]) is nn.Conv2d
    assert isinstance(module[2], Int8Linear)
    assert not any(isinstance(layer, Int8Conv2d) for layer in module)


def test_a_family_paints_with_int8_weights_much_as_without(paths, load, monkeypatch):
    monkeypatch.setattr(int8_weights, "LEAST_WEIGHTS", 16)  # the tiny models have no large layers
    one = request(references=(photo(1),), ip_adapter_scale=0.5, controls={"pose": control(1)})
    plain = family_of(load())
    settings = dataclasses.replace(StableDiffusionSettings(), int8=("controlnets", "image_encoder", "unet"))
    of_its_own = load_components(paths, settings, torch.device("cpu"), torch.float32)
    int8 = build_family(of_its_own, settings, Counters())
    expected, found = denoise_alone(plain, one), denoise_alone(int8, one)
    assert torch.isfinite(found).all()
    difference = torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected)
    assert 0 < difference < 0.2
    held = {type(layer).__name__ for layer in int8.controlnets.get("pose").modules()}
    assert {"Int8Conv2d", "Int8Linear"} & held
