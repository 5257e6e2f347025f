"""What a file is: its layout, the models that it is for, its ranks; and what cannot be used, with the reason."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from composition.errors import UnusableLora
from composition.lora import KeyLayout, LoraKind
from composition.loras.description import describe
from composition.loras.header import read_header
from tests.unit.composition.loras.files import TO_K, TO_K_DOTTED, kohya, pair, safetensors


def described(tensors, metadata=None):
    data = safetensors(tensors, metadata)
    return describe(read_header(io.BytesIO(data), len(data)))


PEFT_NAMES = {"down": ".lora_A.weight", "up": ".lora_B.weight"}
DIFFUSERS_NAMES = {"down": ".lora.down.weight", "up": ".lora.up.weight"}
KOHYA_NAMES = {"down": ".lora_down.weight", "up": ".lora_up.weight"}
TEXT = "text_model.encoder.layers.0.self_attn.q_proj"


@pytest.mark.parametrize(
    ("tensors", "layout", "parts"),
    [
        (kohya(), KeyLayout.KOHYA, ("unet",)),
        (kohya() | kohya(prefix="lora_te_"), KeyLayout.KOHYA, ("unet", "text_encoder")),
        (pair(f"unet.{TO_K_DOTTED}", **DIFFUSERS_NAMES), KeyLayout.DIFFUSERS, ("unet",)),
        (pair(f"unet.{TO_K_DOTTED}", **PEFT_NAMES), KeyLayout.DIFFUSERS, ("unet",)),
        (
            pair(f"unet.{TO_K_DOTTED.removesuffix('.to_k')}.processor.to_k", down="_lora.down.weight",
                 up="_lora.up.weight"),
            KeyLayout.DIFFUSERS, ("unet",),
        ),
        (
            pair(f"text_encoder.{TEXT}", down=".lora_linear_layer.down.weight", up=".lora_linear_layer.up.weight"),
            KeyLayout.DIFFUSERS, ("text_encoder",),
        ),
        (pair(f"base_model.model.{TO_K_DOTTED}", **PEFT_NAMES), KeyLayout.PEFT, ("unet",)),
        (pair(f"base_model.model.{TEXT}", **PEFT_NAMES), KeyLayout.PEFT, ("text_encoder",)),
        (pair(f"base_model.model.unet.{TO_K_DOTTED}", **PEFT_NAMES), KeyLayout.PEFT, ("unet",)),
    ],
)  # fmt: skip
def test_every_layout_is_known_with_the_models_that_it_changes(tensors, layout, parts):
    facts = described(tensors)
    assert (facts.kind, facts.layout, facts.parts, facts.ranks) == (LoraKind.LORA, layout, parts, (4,))


@pytest.mark.parametrize(("context", "family"), [(768, "sd15"), (2048, "sdxl"), (32, None)])
def test_the_family_is_told_by_the_width_of_the_prompt(context, family):
    assert described(kohya(context=context)).family == family


def test_a_second_text_encoder_is_sdxls():
    assert described(kohya(prefix="lora_te2_", context=1280)).family == "sdxl"


def test_all_ranks_are_told():
    conv = "lora_unet_down_blocks_0_resnets_0_conv1"
    convolution = {
        f"{conv}.lora_down.weight": np.ones((2, 8, 3, 3), np.float16),
        f"{conv}.lora_up.weight": np.ones((8, 2, 1, 1), np.float16),
    }
    facts = described({**kohya(rank=16), **convolution})
    assert (facts.ranks, facts.modules) == ((2, 16), 2)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({}, ()),
        ({"modelspec.trigger_phrase": "pixel art, 8 bit,, pixel art"}, ("pixel art", "8 bit")),
        ({"ss_tag_frequency": json.dumps({"10_sks dog": {"x": 1}, "img": {}, "5_ink": {}})}, ("sks dog", "ink")),
        ({"ss_tag_frequency": "{"}, ()),
        ({"ss_tag_frequency": "[" * 100_000}, ()),
        ({"ss_tag_frequency": "[1]"}, ()),
        ({"ss_tag_frequency": json.dumps({"10_ink": {"x" * 200_000: 1}})}, ("ink",)),
        ({"ss_tag_frequency": json.dumps({"10_ink": {"x" * 300_000: 1}})}, ()),
    ],
)
def test_trigger_words_are_what_the_training_says(metadata, words):
    assert described(kohya(), metadata).trigger_words == words


@pytest.mark.parametrize(
    ("tensors", "family", "token", "vectors"),
    [
        ({"emb_params": np.ones((3, 768), np.float32)}, "sd15", None, 3),
        ({"<cat-toy>": np.ones(768, np.float32)}, "sd15", "<cat-toy>", 1),
        ({"clip_l": np.ones((2, 768), np.float32), "clip_g": np.ones((2, 1280), np.float32)}, "sdxl", None, 2),
        ({"emb_params": np.ones((1, 32), np.float32)}, None, None, 1),
    ],
)
def test_an_embedding_is_told_from_a_lora(tensors, family, token, vectors):
    facts = described(tensors)
    assert (facts.kind, facts.family, facts.token, facts.modules) == (LoraKind.EMBEDDING, family, token, vectors)


DOWN, UP, ALPHA = (f"lora_unet_{TO_K}{end}" for end in (".lora_down.weight", ".lora_up.weight", ".alpha"))
LONELY = {name: array for name, array in kohya().items() if name != UP}
REFUSED = {
    "Stable Diffusion 2": (kohya(context=1024), "for Stable Diffusion 2"),
    "an embedding of it": ({"emb_params": np.ones((1, 1024), np.float16)}, "for Stable Diffusion 2"),
    "Flux": (pair("transformer.single_transformer_blocks.0.attn.to_k", **PEFT_NAMES), "a model that is not served"),
    "Flux by kohya": (pair("lora_unet_double_blocks_0_img_attn_qkv", **KOHYA_NAMES), "a model that is not served"),
    "DoRA": (kohya() | {f"lora_unet_{TO_K}.dora_scale": np.ones((320, 1), np.float16)}, "a DoRA"),
    "LoHa": ({f"lora_unet_{TO_K}.hada_w1_a": np.ones((4, 4), np.float16)}, "a LoHa"),
    "LoKr": ({f"lora_unet_{TO_K}.lokr_w1": np.ones((4, 4), np.float16)}, "a LoKr"),
    "one matrix": (LONELY, "lacks one of its two matrices"),
    "an alpha of nothing": (kohya() | {"lora_unet_x.alpha": np.ones((), np.float16)}, "lacks one of its two matrices"),
    "other ranks": (kohya() | {UP: np.ones((320, 8), np.float16)}, "cannot be multiplied"),
    "vectors": (kohya() | {UP: np.ones(320, np.float16), DOWN: np.ones(768, np.float16)}, "cannot be multiplied"),
    "rank 0": (kohya() | {UP: np.ones((320, 0), np.float16), DOWN: np.ones((0, 768), np.float16)}, "cannot be mult"),
    "a rank of thousands": (kohya(rank=1025), "has rank 1025"),
    "another tensor": (kohya() | {"lora_unet_x.weird": np.ones(3, np.float16)}, "no known layout, lora_unet_x.weird"),
    "two widths": (
        kohya() | pair(f"lora_unet_{TO_K}_2_attn2_to_v", **KOHYA_NAMES, context=2048), "prompts of 2 widths"),
    "mixed layouts": (kohya() | pair(f"unet.{TO_K_DOTTED}", **DIFFUSERS_NAMES), "mixes the key layouts"),
    "no model's layer": (pair(TO_K_DOTTED, **PEFT_NAMES), "belongs to no model that is known"),
    "a whole model": ({"model.a": np.ones(3, np.float16), "model.b": np.ones(3, np.float16)}, "neither a LoRA nor"),
    "an embedding of 76": ({"emb_params": np.ones((76, 768), np.float16)}, "has 76 vectors"),
    "an embedding in three dimensions": ({"emb_params": np.ones((1, 1, 768), np.float16)}, "vectors are shaped"),
    "a token with a space": ({"a b": np.ones((1, 768), np.float16)}, "token has spaces"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_used_is_refused_with_the_reason(what):
    tensors, reason = REFUSED[what]
    with pytest.raises(UnusableLora) as caught:
        described(tensors)
    assert reason in caught.value.message
