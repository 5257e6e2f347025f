"""The same request gives the same latents as the stock pipeline: bit for bit alone, within 1e-3 in a crowd."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from composition.request import Speed
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from tests.integration.runners.diffusion.denoising import denoise_alone, denoise_together, family_of
from tests.integration.runners.diffusion.requests import control, photo, request

pytestmark = pytest.mark.integration

POSE = {"pose": control(101, 0.8, 0.0, 0.6)}
DEPTH = {"depth": control(102, 0.7, 0.2, 1.0)}
CONTROLS = {"no": {}, "pose": POSE, "depth": DEPTH, "both": {**POSE, **DEPTH}}


@pytest.mark.parametrize("strength", [1.0, 0.6])
@pytest.mark.parametrize("guidance_scale", [7.5, 1.0], ids=["guided", "unguided"])
@pytest.mark.parametrize("variant", [None, "sd15", "sd15-plus"], ids=["no-reference", "reference", "reference-plus"])
@pytest.mark.parametrize("controls", CONTROLS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_a_request_alone_is_bit_equal_to_the_stock_pipeline(
    load, stock, dtype, controls, variant, guidance_scale, strength
):
    family = family_of(load(dtype, variant or "sd15"))
    one = request(
        num_inference_steps=5,
        guidance_scale=guidance_scale,
        strength=strength,
        controls=CONTROLS[controls],
        references=(photo(7, 64, 48),) if variant else (),
        ip_adapter_scale=0.6 if variant else 0.0,
    )
    assert torch.equal(denoise_alone(family, one), stock(dtype).latents(one, variant))


def test_a_request_without_a_reference_is_bit_equal_whether_or_not_an_ip_adapter_is_loaded(load):
    one = request(controls=CONTROLS["both"])
    latents = [denoise_alone(family_of(load(variant=v)), one) for v in (None, "sd15-plus")]
    assert torch.equal(*latents)


def test_a_fast_request_is_bit_equal_to_the_stock_pipeline_with_the_lcm_lora(load, stock, paths):
    from runners.diffusion.families.stable_diffusion.components import load_components

    fast = request(height=128, width=128, speed=Speed.FAST, num_inference_steps=4, guidance_scale=1.5)
    fresh = load_components(paths, StableDiffusionSettings(), torch.device("cpu"), torch.float32)
    family = family_of(fresh)
    pipelines = type(stock(torch.float32))(paths, torch.float32)
    plain = pipelines.latents(request(seed=3), None)
    pipelines.add_lora(None, paths.lcm_lora)
    assert torch.equal(denoise_alone(family, fast), pipelines.latents(fast, None))
    assert torch.equal(denoise_alone(family, request(seed=3)), plain)


def mixed_requests():
    references = {"references": (photo(7),), "ip_adapter_scale": 0.6}
    return [
        request(1, num_inference_steps=20),
        request(2, num_inference_steps=12, guidance_scale=5.0, controls=CONTROLS["pose"], prompt="a red jacket"),
        request(3, num_inference_steps=25, guidance_scale=9.0, controls=CONTROLS["both"], **references),
        request(4, num_inference_steps=10, guidance_scale=1.0, strength=0.8),
        request(5, num_inference_steps=15, guidance_scale=3.0, controls=CONTROLS["depth"], **references),
        request(6, num_inference_steps=18, references=(photo(8),), ip_adapter_scale=0.35),
        request(7, num_inference_steps=7, guidance_scale=1.0, references=(photo(8),), ip_adapter_scale=1.0),
    ]


def test_requests_that_arrive_two_steps_apart_equal_the_stock_pipeline(load, stock):
    family = family_of(load())
    requests = mixed_requests()
    together = denoise_together(family, requests, arrive_every=2)
    for one, latents in zip(requests, together, strict=True):
        reference = stock(torch.float32).latents(one, "sd15" if one.references else None)
        assert (latents - reference).abs().max() <= 1e-3


def draw_request():
    controls = st.dictionaries(
        st.sampled_from(sorted(CONTROLS)),
        st.builds(
            control,
            st.integers(100, 103),
            st.floats(0.0, 2.0),
            st.sampled_from([0.0, 0.25]),
            st.sampled_from([0.5, 1.0]),
        ),
    )
    references = st.sampled_from([(), (photo(7),), (photo(8, 48, 64),)])
    return st.builds(
        request,
        st.integers(0, 2**32 - 1).map(lambda seed: seed),
        num_inference_steps=st.integers(1, 8),
        guidance_scale=st.sampled_from([1.0, 2.0, 7.5, 20.0]),
        strength=st.sampled_from([1.0, 0.9, 0.5]),
        controls=controls,
        references=references,
        ip_adapter_scale=st.floats(0.0, 1.0),
        prompt=st.sampled_from(["a red car", "marble table", "x " * 200]),
    )


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=st.lists(draw_request(), min_size=1, max_size=6), arrive_every=st.integers(0, 3))
def test_any_mix_of_requests_gives_each_what_it_gets_alone(load, requests, arrive_every):
    family = family_of(load())
    alone = [denoise_alone(family, one) for one in requests]
    together = denoise_together(family, requests, arrive_every=arrive_every)
    for expected, latents in zip(alone, together, strict=True):
        assert (latents - expected).abs().max() <= 1e-3


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(others=st.lists(draw_request(), min_size=1, max_size=4), position=st.integers(0, 4))
def test_another_reference_changes_only_its_own_request(load, others, position):
    family = family_of(load())
    place = min(position, len(others))

    def mix(reference):
        own = request(9, references=(reference,), ip_adapter_scale=1.0, num_inference_steps=5)
        return denoise_together(family, [*others[:place], own, *others[place:]])

    first, second = mix(photo(7)), mix(photo(8))
    for index, (before, after) in enumerate(zip(first, second, strict=True)):
        assert torch.equal(before, after) == (index != place)
