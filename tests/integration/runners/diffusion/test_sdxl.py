"""What Stable Diffusion XL has and 1.5 has not; what they share is proved in the other tests, for one or both."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch

from composition.config import Config
from composition.diffusion import DiffusionProgress
from runners.diffusion.engine.counters import Counters
from runners.diffusion.families.stable_diffusion.build import build_family
from runners.diffusion.families.stable_diffusion.components import load_components
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from runners.diffusion.start import start_engine
from tests.fakes.fake_listener import FakeListener
from tests.integration.runners.diffusion.denoising import denoise_alone, family_of
from tests.integration.runners.diffusion.requests import both_controls, photo, request
from tests.integration.runners.diffusion.served import CPU, Served

pytestmark = pytest.mark.integration

LONG = " ".join(["car"] * 100)


def test_the_profile_is_served_with_all_that_it_has(tiny_sdxl_models):
    config = Config.model_validate({"models": {"profile": "tiny-sdxl"}})
    engine = start_engine(config, tiny_sdxl_models, CPU, Counters())
    try:
        listener = FakeListener()
        references = {"references": (photo(7),), "ip_adapter_scale": 0.6}
        engine.submit(request(controls=both_controls(), previews=True, **references), listener)
        result = listener.result()
        stats = engine.stats()
    finally:
        engine.stop()
    assert result.models_used == (
        "sdxl-inpainting", "ip-adapter", "controlnet-pose", "controlnet-depth", "safety-checker"
    )  # fmt: skip
    assert result.image.shape == (64, 64, 3)
    assert len(np.unique(result.image)) > 16, "the decoder draws something"
    assert (stats["counters"]["unet_forwards"], stats["counters"]["safety_checks"]) == (4, 1)
    previews = [event.preview for event in listener.events if isinstance(event, DiffusionProgress)]
    assert {None if preview is None else preview.shape for preview in previews} - {None} == {(32, 32, 3)}


def test_both_encoders_conditions_stand_in_their_order(sdxl):
    parts = sdxl.load()
    pipe, text = parts.pipe, parts.text.encode("a red car")
    ids = [
        tok("a red car", padding="max_length", max_length=77).input_ids for tok in (pipe.tokenizer, pipe.tokenizer_2)
    ]
    with torch.inference_mode():
        first = pipe.text_encoder(torch.tensor([ids[0]]), output_hidden_states=True)
        second = pipe.text_encoder_2(torch.tensor([ids[1]]), output_hidden_states=True)
    assert torch.equal(text.states, torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=2))
    assert torch.equal(text.added["text_embeds"], second.text_embeds)
    assert parts.text.sizes((64, 128))["time_ids"].tolist() == [[64, 128, 0, 0, 64, 128]]


def test_a_long_prompt_equals_the_stock_pipeline_given_the_same_conditioning(sdxl):
    family, one = family_of(sdxl.load()), request(prompt=LONG, negative_prompt="blurry", num_inference_steps=3)
    with torch.inference_mode():
        conditioning = family.encode(one).conditioning
        alone = family.components.text.encode(" ".join(["car"] * 75))
    assert conditioning["encoder_hidden_states"].shape[1] == 2 * 77
    pooled = conditioning["text_embeds"][1:]
    assert (pooled - alone.added["text_embeds"]).abs().max() < 1e-5, "the pooled embedding is the first chunk's"
    assert torch.equal(denoise_alone(family, one), sdxl.stock(torch.float32).latents(one, None, conditioning))


def test_what_comes_after_77_tokens_acts(sdxl):
    family = family_of(sdxl.load())
    one, other = (denoise_alone(family, request(prompt=f"{LONG} {last}")) for last in ("car", "red"))
    assert not torch.equal(one, other)


@pytest.mark.filterwarnings("ignore:`upcast_vae`:FutureWarning")  # what stock calls for it
@pytest.mark.parametrize("forced", [True, False])
def test_an_autoencoder_that_asks_for_full_precision_gets_it_as_in_the_stock_pipeline(sdxl, tmp_path, forced):
    shutil.copytree(sdxl.paths.base, tmp_path / "base")
    settings = tmp_path / "base" / "vae" / "config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "force_upcast": forced}))
    served = Served(dataclasses.replace(sdxl.paths, base=tmp_path / "base"))
    parts, counters = served.load(torch.float16, None), Counters()
    family, one = build_family(parts, StableDiffusionSettings(), counters), request(num_inference_steps=2, strength=0.6)
    with torch.inference_mode():
        state = family.encode(one)
        while not state.done:
            family.advance([state], family.predict([state]))
        image = family.decode(state)
    stock = served.stock(torch.float16)
    assert torch.equal(state.latents, stock.latents(one, None))
    assert np.array_equal(image, stock.image(one, None))
    assert parts.vae.dtype is torch.float16
    assert counters.snapshot().get("vae_decodes_float32", 0) == forced


def test_a_refiner_is_refused_with_what_its_unet_takes(sdxl):
    parts = sdxl.fresh(variant=None)
    parts.pipe.register_to_config(requires_aesthetics_score=True)
    with pytest.raises(ValueError, match="is it a refiner"):
        sdxl.paths.kind.encoder(parts.pipe, CPU)


def test_an_adapter_of_another_family_is_refused_with_those_that_fit(sdxl):
    wrong = dataclasses.replace(sdxl.paths, ip_adapter_variant="sd15-plus")
    with pytest.raises(ValueError, match="sd15-plus does not fit sdxl-inpainting: sdxl, sdxl-plus do"):
        load_components(wrong, StableDiffusionSettings(), CPU, torch.float32)
