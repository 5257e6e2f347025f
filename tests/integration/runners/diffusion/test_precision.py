"""Numbers that half precision cannot hold: once more in float32, then a clear error, never a black image."""

from __future__ import annotations

import pytest
import torch

from composition.errors import ModelError
from runners.diffusion.engine.family import StartOver
from runners.diffusion.families.stable_diffusion.components import load_components
from runners.diffusion.families.stable_diffusion.precision import full_precision
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from tests.fakes.fake_listener import FakeListener
from tests.integration.runners.diffusion.denoising import denoise_together, family_of
from tests.integration.runners.diffusion.requests import both_controls, photo, request, run

pytestmark = pytest.mark.integration

CPU = torch.device("cpu")
EVERYTHING = {"controls": both_controls(), "references": (photo(7),), "ip_adapter_scale": 0.6}


@pytest.fixture
def half(paths):
    return load_components(paths, StableDiffusionSettings(), CPU, torch.float16)


def overflow(unet, *, everywhere=False):
    """Have the UNet's first layer give values above float16's 65504; `everywhere` above float32's too."""
    whole = unet.conv_in.forward

    def forward(sample):
        out = whole(sample)
        return out * float("inf") if everywhere or out.dtype == torch.float16 else out

    unet.conv_in.forward = forward


def weights_of(components, family):
    modules = [*components.modules().values(), *family.controlnets.loaded.values()]
    return [p.clone() for module in modules for p in module.parameters()]


def test_weights_that_were_widened_while_serving_are_no_tensors_of_inference_mode_afterwards():
    """Those compute other last bits, and do not fit what was compiled."""
    layer = torch.nn.Linear(2, 2, dtype=torch.float16)
    with torch.inference_mode():
        with full_precision(layer):
            assert layer.weight.dtype is torch.float32
        assert layer.weight.dtype is torch.float16
    assert not layer.weight.is_inference()


def test_what_overflows_is_computed_once_more_in_float32_and_the_weights_stay_as_they_were(half, make_engine):
    overflow(half.unet)
    engine = make_engine(half)
    family = engine._family
    [result] = run(engine, request(num_inference_steps=3, **EVERYTHING))
    counters = engine.stats()["counters"]
    assert result.image.std() > 0
    assert counters["float32_requests"] == counters["starts_over"] == 1
    assert counters["unet_forwards"] == 6
    assert counters["vae_decodes_float32"] == 1
    assert {p.dtype for p in weights_of(half, family)} == {torch.float16}


def test_the_second_time_is_what_float32_gives(half):
    overflow(half.unet)
    family = family_of(half)
    one = request(num_inference_steps=3, **EVERYTHING)
    with torch.inference_mode():
        state = family.encode(one)
        while not state.done:
            family.activate(state.bucket)
            family.advance([state], family.predict([state]))
        with pytest.raises(StartOver) as again:
            family.decode(state)
        state = again.value.anew(state)
        before = weights_of(half, family)
        assert (state.step, state.latents.dtype) == (0, torch.float32)
        while not state.done:
            family.advance([state], family.predict([state]))
    widened = load_as_float32(half)
    expected = denoise_together(family_of(widened), [one])[0]
    assert (state.latents - expected).abs().max() < 0.05
    assert all(torch.equal(a, b) for a, b in zip(before, weights_of(half, family), strict=True))


def load_as_float32(half):
    return load_components(half.paths, StableDiffusionSettings(), CPU, torch.float32)


def test_numbers_that_float32_cannot_hold_either_are_an_error_and_nobody_elses(half, make_engine):
    engine = make_engine(half)
    run(engine, request(1))
    overflow(half.unet, everywhere=True)
    listener = FakeListener()
    engine.submit(request(2, num_inference_steps=2), listener)
    error = listener.outcome()
    assert isinstance(error, ModelError)
    assert error.message == "the denoising gave no finite numbers"
    assert engine.stats()["counters"]["starts_over"] == 1


def test_requests_in_float32_and_in_half_never_share_a_forward(half):
    family = family_of(half)
    with torch.inference_mode():
        state = family.encode(request())
        assert state.again_in_float32().bucket != state.bucket


def test_an_encoder_that_overflows_encodes_again_in_float32(half, make_engine):
    whole = half.vae.encoder.conv_in.forward
    half.vae.encoder.conv_in.forward = lambda x: whole(x) * (float("inf") if x.dtype == torch.float16 else 1.0)
    engine = make_engine(half)
    [result] = run(engine, request(strength=0.7))
    assert result.image.std() > 0
    counters = engine.stats()["counters"]
    assert counters["vae_encodes_float32"] == counters["vae_encodes"] == 2
    assert "starts_over" not in counters
