"""The same request gives the same latents as the stock pipeline: bit for bit alone, within 1e-3 in a crowd."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.stock import StockPipelines
from composition.request import Speed
from tests.integration.runners.diffusion.denoising import denoise_alone, denoise_together, family_of
from tests.integration.runners.diffusion.requests import control, photo, request

pytestmark = pytest.mark.integration

POSE = {"pose": control(101, 0.8, 0.0, 0.6)}
DEPTH = {"depth": control(102, 0.7, 0.2, 1.0)}
CONTROLS = {"no": {}, "pose": POSE, "depth": DEPTH, "both": {**POSE, **DEPTH}}


VARIANTS = {"no-reference": None, "reference": "plain", "reference-plus": "plus"}
GUIDANCE = {"guided": 7.5, "unguided": 1.0}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

EVERY_CASE = [("sd15", *case) for case in itertools.product(DTYPES, CONTROLS, VARIANTS, GUIDANCE, (1.0, 0.6))]
"""Of the first family: what its code shares with the second needs no second proof of every combination."""
XL_CASES = [
    *(("sdxl", "float32", *case, 1.0) for case in itertools.product(CONTROLS, VARIANTS, GUIDANCE)),
    *(("sdxl", "float32", "both", "reference", guidance, 0.6) for guidance in GUIDANCE),
    *(("sdxl", "bfloat16", controls, "reference-plus", "guided", 0.6) for controls in ("no", "both")),
]


@pytest.mark.parametrize(
    ("served", "dtype", "controls", "variant", "guidance", "strength"),
    EVERY_CASE + XL_CASES,
    indirect=["served"],
    ids=str,
)
def test_a_request_alone_is_bit_equal_to_the_stock_pipeline(served, dtype, controls, variant, guidance, strength):
    dtype, variant = DTYPES[dtype], VARIANTS[variant]
    family = family_of(served.load(dtype, variant or "plain"))
    one = request(
        num_inference_steps=5,
        guidance_scale=GUIDANCE[guidance],
        strength=strength,
        controls=CONTROLS[controls],
        references=(photo(7, 64, 48),) if variant else (),
        ip_adapter_scale=0.6 if variant else 0.0,
    )
    assert torch.equal(denoise_alone(family, one), served.stock(dtype).latents(one, served.variant(variant)))


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("guidance_scale", [7.5, 1.0], ids=["guided", "unguided"])
@pytest.mark.parametrize("variant", ["plain", "plus"])
def test_several_references_are_bit_equal_to_the_stock_pipeline_with_as_many_images(
    served, variant, guidance_scale, count
):
    one = request(
        controls=CONTROLS["depth"],
        guidance_scale=guidance_scale,
        references=tuple(photo(number, 64, 48) for number in range(7, 7 + count)),
        ip_adapter_scale=0.6,
    )
    family = family_of(served.load(variant=variant))
    latents = denoise_alone(family, one)
    assert torch.equal(latents, served.stock(torch.float32).latents(one, served.variant(variant)))
    (together,) = one.references
    fewer = dataclasses.replace(one, references=(dataclasses.replace(together, images=together.images[:-1]),))
    assert not torch.equal(latents, denoise_alone(family, fewer))


def test_without_a_negative_prompt_the_other_row_is_the_stock_pipelines(served):
    one = request(negative_prompt="", controls=CONTROLS["pose"])
    latents = denoise_alone(family_of(served.load()), one)
    assert torch.equal(latents, served.stock(torch.float32).latents(one, None))


def test_an_image_that_is_not_square_is_bit_equal_to_the_stock_pipeline(served):
    """The sizes that SDXL is told are height and width, in this order."""
    one = request(height=64, width=128)
    latents = denoise_alone(family_of(served.load()), one)
    assert torch.equal(latents, served.stock(torch.float32).latents(one, None))


def test_a_request_without_a_reference_is_bit_equal_whether_or_not_an_ip_adapter_is_loaded(served):
    one = request(controls=CONTROLS["both"])
    latents = [denoise_alone(family_of(served.load(variant=v)), one) for v in (None, "plus")]
    assert torch.equal(*latents)


FEW = {
    "fast": {"speed": Speed.FAST, "num_inference_steps": 4, "guidance_scale": 1.5},
    "turbo": {"speed": Speed.TURBO, "num_inference_steps": 4, "guidance_scale": 1.0},
    "turbo, a single step": {"speed": Speed.TURBO, "num_inference_steps": 1, "guidance_scale": 1.0},
    "turbo, from the photo": {"speed": Speed.TURBO, "num_inference_steps": 4, "guidance_scale": 1.0, "strength": 0.6},
}


@pytest.mark.parametrize("options", FEW.values(), ids=FEW)
def test_a_request_of_few_steps_is_bit_equal_to_the_stock_pipeline_with_the_lora_of_its_speed(served, options):
    few = request(height=128, width=128, **options)
    family = family_of(served.fresh())
    pipelines = StockPipelines(served.paths, torch.float32)
    plain = pipelines.latents(request(seed=3), None)
    pipelines.add_lora(None, served.paths.speed_loras[few.speed])
    assert torch.equal(denoise_alone(family, few), pipelines.latents(few, None))
    assert torch.equal(denoise_alone(family, request(seed=3)), plain)


def test_requests_of_all_speeds_beside_one_another_equal_the_stock_pipeline(served):
    family = family_of(served.load())
    requests = [
        request(seed, **options, controls=controls)
        for seed, (options, controls) in enumerate(
            [*zip([*FEW.values(), *FEW.values()], [{}] * 4 + [CONTROLS["both"]] * 4, strict=True), ({}, {})], start=20
        )
    ]
    together = denoise_together(family, requests, arrive_every=1)
    pipelines = {speed: StockPipelines(served.paths, torch.float32) for speed in Speed}
    for speed, folder in served.paths.speed_loras.items():
        pipelines[speed].add_lora(None, folder)
    for one, latents in zip(requests, together, strict=True):
        assert (latents - pipelines[one.speed].latents(one, None)).abs().max() <= 1e-3


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
        request(8, num_inference_steps=9, negative_prompt=""),
        request(9, num_inference_steps=9, references=(photo(8), photo(7)), ip_adapter_scale=0.8),
        request(10, num_inference_steps=11, references=(photo(7), photo(8), photo(9)), ip_adapter_scale=0.5),
    ]


def test_requests_that_arrive_two_steps_apart_equal_the_stock_pipeline(served):
    family = family_of(served.load())
    requests = mixed_requests()
    together = denoise_together(family, requests, arrive_every=2)
    for one, latents in zip(requests, together, strict=True):
        reference = served.stock(torch.float32).latents(one, served.plain if one.references else None)
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
    references = st.sampled_from([(), (photo(7),), (photo(8, 48, 64),), (photo(7), photo(8)), (photo(9),) * 3])
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
