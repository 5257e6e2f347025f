"""Several regions of one request in one denoising, with real networks: each is what it would be alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from composition.diffusion import ReferenceInput, RegionRequest
from composition.request import Scheduler, Speed
from runners.diffusion.engine.joined import joined
from tests.integration.runners.diffusion.denoising import denoise_alone, family_of
from tests.integration.runners.diffusion.requests import SIDE, control, photo, request, run

pytestmark = pytest.mark.integration

LEFT = np.zeros((SIDE, SIDE), np.uint8)
LEFT[:, : SIDE // 2] = 255
RIGHT = 255 - LEFT
CELL = 8
HALF = SIDE // CELL // 2


def region(prompt, **changes):
    return RegionRequest(prompt=prompt, negative_prompt="blurry", area=RIGHT, **changes)


def several(*, prompt="a red car", beside, **changes):
    return request(prompt=prompt, area=LEFT, beside=(beside,), **changes)


@pytest.mark.parametrize("guidance_scale", [7.5, 1.0])
def test_two_regions_that_ask_for_the_same_are_one(load, guidance_scale):
    family = family_of(load())
    both = several(beside=region("a red car"), guidance_scale=guidance_scale)
    alone = request(prompt="a red car", guidance_scale=guidance_scale)
    assert (denoise_alone(family, both) - denoise_alone(family, alone)).abs().max() < 1e-3


def test_after_one_step_each_region_has_what_its_own_text_reference_and_control_give(load):
    family = family_of(load())
    reference = ReferenceInput(images=(photo(7),), scale=0.6, mask=RIGHT)
    own = {"strength": 1.0, "references": (reference,), "controls": {"depth": control(3, 0.8)}}
    both = denoise_alone(family, several(beside=region("a tree", **own), num_inference_steps=1))
    left = denoise_alone(family, request(prompt="a red car", num_inference_steps=1))
    right = denoise_alone(family, request(prompt="a tree", num_inference_steps=1, **own))
    assert (both[..., :HALF] - left[..., :HALF]).abs().max() < 1e-3
    assert (both[..., HALF:] - right[..., HALF:]).abs().max() < 1e-3
    assert (left - right).abs().max() > 0.05


@pytest.mark.parametrize("speed", Speed)
@pytest.mark.parametrize("scheduler", Scheduler)
def test_a_region_of_less_strength_begins_where_it_would_alone(load, scheduler, speed):
    family = family_of(load())
    asked = several(beside=region("a tree", strength=0.5), num_inference_steps=4, scheduler=scheduler, speed=speed)
    with torch.inference_mode():
        state = joined([family.encode(one) for one in asked.regions])
        strong, weak = state.regions
        initial = weak.latents.clone()
        while len(state.acting) < 2:
            family.advance(state.acting, family.predict(state.acting))
            state.settle()
    assert (state.step, state.steps, weak.step) == (2, 4, 0)
    assert torch.allclose(strong.latents[..., HALF:], initial[..., HALF:], atol=1e-5)
    assert torch.equal(weak.latents[..., :HALF], strong.latents[..., :HALF])


@pytest.mark.parametrize("cache_max_bytes", [0, 2**20])
def test_one_image_is_encoded_and_decoded_once_and_forwards_are_shared(load, make_engine, cache_max_bytes):
    engine = make_engine(load(), cache_max_bytes=cache_max_bytes)
    [result] = run(engine, several(beside=region("a tree"), num_inference_steps=3))
    counters = engine.stats()["counters"]
    assert result.cache["vae_moments"] == "miss"
    assert (counters["vae_encodes"], counters["vae_decodes"]) == (1, 1)
    assert (counters["unet_forwards"], counters["unet_rows"]) == (3, 12)
