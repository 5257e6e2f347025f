"""The knobs of published recipes, each as stock diffusers has it, and each request's own among others."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

from composition.request import Scheduler
from runners.diffusion.families.stable_diffusion.forward import _rescaled
from tests.integration.runners.diffusion.denoising import denoise_alone, denoise_together, family_of
from tests.integration.runners.diffusion.requests import control, photo, request

pytestmark = pytest.mark.integration

REFERENCE = {"references": (photo(7, 64, 48),), "ip_adapter_scale": 0.6}


@pytest.mark.parametrize("strength", [1.0, 0.6])
@pytest.mark.parametrize("scheduler", Scheduler)
def test_every_scheduler_is_bit_equal_to_the_stock_pipeline_with_it(load, stock, scheduler, strength):
    one = request(num_inference_steps=6, scheduler=scheduler, strength=strength, controls={"pose": control(101)})
    assert torch.equal(denoise_alone(family_of(load()), one), stock(torch.float32).latents(one, None))


def test_the_schedulers_differ(load):
    family = family_of(load())
    latents = [denoise_alone(family, request(num_inference_steps=6, scheduler=one)) for one in Scheduler]
    assert not any(torch.equal(a, b) for i, a in enumerate(latents) for b in latents[:i])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("variant", ["sd15", "sd15-plus"])
@pytest.mark.parametrize("size", [(64, 64), (64, 128)], ids=str)
def test_a_reference_inside_the_mask_only_is_bit_equal_to_stock_ip_adapter_masks(load, stock, dtype, variant, size):
    height, width = size
    one = request(height=height, width=width, ip_adapter_mask=True, **REFERENCE)
    masked = denoise_alone(family_of(load(dtype, variant)), one)
    assert torch.equal(masked, stock(dtype).latents(one, variant))
    everywhere = dataclasses.replace(one, ip_adapter_mask=False)
    assert not torch.equal(masked, denoise_alone(family_of(load(dtype, variant)), everywhere))


@pytest.mark.parametrize(("start", "end"), [(0.0, 0.5), (0.5, 1.0), (0.25, 0.75), (0.9, 1.0)])
def test_a_reference_acts_between_its_start_and_end_as_stock_with_its_scale_set_from_step_to_step(
    load, stock, start, end
):
    one = request(num_inference_steps=8, ip_adapter_start=start, ip_adapter_end=end, **REFERENCE)
    assert torch.equal(denoise_alone(family_of(load()), one), stock(torch.float32).latents(one, "sd15"))


def test_a_window_that_holds_no_step_is_no_reference(load):
    one = request(num_inference_steps=4, ip_adapter_start=0.9, ip_adapter_end=0.95, **REFERENCE)
    plain = dataclasses.replace(one, references=())
    family = family_of(load())
    assert torch.equal(denoise_alone(family, one), denoise_alone(family, plain))


@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
def test_guidance_is_rescaled_as_stock_rescales_it(share):
    guided, conditional = torch.randn(1, 4, 8, 8) * 3, torch.randn(1, 4, 8, 8)
    expected = rescale_noise_cfg(guided, conditional, guidance_rescale=share)
    assert torch.equal(_rescaled(guided, conditional, share), expected if share else guided)


def test_a_rescaled_request_changes_and_one_without_guidance_does_not(load):
    family = family_of(load())
    for scale, changes in ((7.5, True), (1.0, False)):
        plain, rescaled = (request(guidance_scale=scale, guidance_rescale=share) for share in (0.0, 0.7))
        assert torch.equal(denoise_alone(family, plain), denoise_alone(family, rescaled)) is not changes


def test_each_request_keeps_its_own_knobs_among_others(load):
    family = family_of(load())
    requests = [
        request(1, scheduler=Scheduler.UNIPC, **REFERENCE),
        request(2, ip_adapter_mask=True, ip_adapter_end=0.5, **REFERENCE),
        request(3, scheduler=Scheduler.DPM_SOLVER_KARRAS, guidance_rescale=0.7),
        request(4, ip_adapter_start=0.5, num_inference_steps=6, **REFERENCE),
    ]
    alone = [denoise_alone(family, one) for one in requests]
    for expected, latents in zip(alone, denoise_together(family, requests), strict=True):
        assert (latents - expected).abs().max() <= 1e-3
