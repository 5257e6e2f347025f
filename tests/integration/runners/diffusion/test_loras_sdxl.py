"""Users' LoRAs and embeddings on SDXL: in every layout what the stock pipeline gives with them.

How sets are kept, shared and refused is the same for every family: `test_loras.py` has it.
"""

from __future__ import annotations

import dataclasses

import pytest
import torch

from benchmarks.stock import StockPipelines
from tests.integration.runners.diffusion.denoising import denoise_alone, denoise_together, family_of
from tests.integration.runners.diffusion.lora_files import (
    ATTENTION,
    CONVOLUTIONS,
    TEXT,
    dotted,
    kohya,
    matrices,
    saved,
)
from tests.integration.runners.diffusion.original_layout import original_unet_name
from tests.integration.runners.diffusion.requests import control, photo, request

pytestmark = pytest.mark.integration

PROMPT = "a mug in the style of sumi"
WEIGHT = -0.6
NEW, OLD = (".lora_A.weight", ".lora_B.weight"), (".lora.down.weight", ".lora.up.weight")


def published(layers):
    """A text encoder's layers by the names that files have: the first encoder's class has lost their beginning."""
    return {f"text_model.{name.removeprefix('text_model.')}": pair for name, pair in layers.items()}


def originals(layers, config):
    """UNet layers by the names of the original layout, which kohya's scripts have for SDXL."""
    names = {name: original_unet_name(f"{name}.weight", config).removesuffix(".weight") for name in layers}
    return {names[name]: pair for name, pair in layers.items()}


@pytest.fixture(scope="module")
def layers(sdxl):
    """Matrices of a part's layers by their module names: attention, convolutions, first and second text encoder."""
    pipe = sdxl.load(variant=None).pipe
    return {
        "attention": matrices(pipe.unet, ATTENTION, 4, 1),
        "convolutions": matrices(pipe.unet, CONVOLUTIONS, 3, 2),
        "first": published(matrices(pipe.text_encoder, TEXT, 2, 3)),
        "second": published(matrices(pipe.text_encoder_2, TEXT, 2, 4)),
    }


@pytest.fixture(scope="module")
def files(sdxl, layers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("loras")
    pipe = sdxl.load(variant=None).pipe
    unet = layers["attention"] | layers["convolutions"]
    widths = [encoder.config.hidden_size for encoder in (pipe.text_encoder, pipe.text_encoder_2)]
    first, second = (torch.randn(3, width, generator=torch.Generator().manual_seed(width)) for width in widths)
    texts = kohya(layers["first"], "lora_te1_", alpha=1.0) | kohya(layers["second"], "lora_te2_", alpha=2.0)
    return {
        use.name: use
        for use in (
            saved(folder, "kohya", kohya(layers["attention"], alpha=2.0) | texts),
            saved(folder, "kohya-original", kohya(originals(unet, pipe.unet.config), alpha=3.0) | texts),
            saved(folder, "kohya-both", kohya(unet, alpha=3.0) | texts),
            saved(folder, "words", texts),
            saved(folder, "old", dotted(layers["attention"], "unet.", *OLD)),
            saved(
                folder,
                "new",
                dotted(unet, "unet.", *NEW)
                | dotted(layers["first"], "text_encoder.", *NEW)
                | dotted(layers["second"], "text_encoder_2.", *NEW),
            ),
            saved(
                folder,
                "peft",
                dotted(unet, "base_model.model.unet.", *NEW)
                | dotted(layers["first"], "base_model.model.text_encoder.", *NEW)
                | dotted(layers["second"], "base_model.model.text_encoder_2.", *NEW),
            ),
            saved(folder, "peft-unet", dotted(layers["attention"], "base_model.model.", *NEW)),
            saved(folder, "diffusers-unet", dotted(layers["attention"], "unet.", *NEW)),
            saved(folder, "sumi", {"clip_l": first, "clip_g": second}),
        )
    }


@pytest.fixture(scope="module")
def stock_with(sdxl):
    """Final latents of a stock pipeline with a request's LoRAs."""
    pipelines = StockPipelines(sdxl.paths, torch.float32)

    def latents(one, ip_variant=None):
        pipelines.wear(ip_variant, one.loras)
        return pipelines.latents(one, ip_variant)

    return latents


def wearing(lora, **fields):
    return request(prompt=PROMPT, loras=(dataclasses.replace(lora, weight=WEIGHT),), **fields)


@pytest.mark.parametrize("name", ["kohya", "kohya-original", "words", "old", "new", "sumi"])
def test_every_layout_is_bit_equal_to_the_stock_pipeline_and_acts(sdxl, files, stock_with, name):
    family = family_of(sdxl.load(variant=None))
    one = wearing(files[name])
    latents = denoise_alone(family, one)
    assert torch.equal(latents, stock_with(one))
    assert (latents - denoise_alone(family, dataclasses.replace(one, loras=()))).abs().max() > 1e-3
    assert family.encode(one).notes == ()


@pytest.mark.parametrize(
    ("name", "same"), [("peft", "new"), ("peft-unet", "diffusers-unet"), ("kohya-original", "kohya-both")]
)
def test_the_same_lora_in_another_layout_is_the_same(sdxl, files, name, same):
    family = family_of(sdxl.load(variant=None))
    ours, theirs = (denoise_alone(family, wearing(files[which])) for which in (name, same))
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("part", ["first", "second"])
def test_each_text_encoders_layers_act(sdxl, layers, tmp_path, part):
    prefix = {"first": "lora_te1_", "second": "lora_te2_"}[part]
    family = family_of(sdxl.load(variant=None))
    with_it, without = (
        family.encode(request(prompt=PROMPT, loras=loras)).conditioning
        for loras in ((saved(tmp_path, part, kohya(layers[part], prefix)),), ())
    )
    first_width = family.components.pipe.text_encoder.config.hidden_size
    changed = {
        "first": not torch.equal(*(c["encoder_hidden_states"][..., :first_width] for c in (with_it, without))),
        "second": not torch.equal(*(c["encoder_hidden_states"][..., first_width:] for c in (with_it, without))),
        "pooled": not torch.equal(with_it["text_embeds"], without["text_embeds"]),
    }
    assert changed == {"first": part == "first", "second": part == "second", "pooled": part == "second"}


def test_several_at_once_with_a_reference_and_controls_are_bit_equal(sdxl, files, stock_with):
    weights = {"kohya-original": 0.5, "new": 0.8, "sumi": 1.0}
    loras = tuple(dataclasses.replace(files[name], weight=weight) for name, weight in sorted(weights.items()))
    one = request(
        prompt=PROMPT, loras=loras, controls={"pose": control(101, 0.8)}, references=(photo(7),), ip_adapter_scale=0.6
    )
    assert torch.equal(denoise_alone(family_of(sdxl.load()), one), stock_with(one, sdxl.plain))


def test_fused_is_what_the_stock_pipeline_gives_fused(sdxl, files):
    one = wearing(files["kohya-original"])
    pipelines = StockPipelines(sdxl.paths, torch.float32)
    pipelines.wear(None, one.loras)
    pipelines.fuse(None)
    latents = denoise_alone(family_of(sdxl.load(variant=None), fused_loras=True), one)
    assert (latents - pipelines.latents(one, None)).abs().max() <= 1e-3


def test_users_with_different_loras_and_without_any_each_get_what_they_get_alone(sdxl, files):
    requests = [
        request(1, prompt=PROMPT, loras=(files["kohya-original"],), num_inference_steps=5),
        request(2, prompt=PROMPT, num_inference_steps=4),
        request(3, prompt=PROMPT, loras=(files["new"],), num_inference_steps=3, guidance_scale=1.0),
        request(4, prompt=PROMPT, loras=(files["kohya-original"],), num_inference_steps=3),
    ]
    plain = denoise_alone(family_of(sdxl.load(variant=None)), requests[1])
    family = family_of(sdxl.load(variant=None))
    together = denoise_together(family, requests, arrive_every=1)
    alone = [denoise_alone(family, one) for one in requests]
    assert max((a - b).abs().max() for a, b in zip(together, alone, strict=True)) <= 1e-3
    assert torch.equal(alone[1], plain)
