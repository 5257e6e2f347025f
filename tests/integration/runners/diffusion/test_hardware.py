"""Choices that depend on the machine."""

from __future__ import annotations

import pytest
import torch

from runners.device import DeviceUnavailable, choose_device, choose_dtype, cpu_multiplies_bfloat16, gpu_memory
from runners.diffusion.families.stable_diffusion.attention import (
    ReferenceAttention,
    use_xformers_for_self_attention,
    xformers_works,
)
from runners.diffusion.families.stable_diffusion.components import load_components
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings

pytestmark = pytest.mark.integration

CPU = torch.device("cpu")
CUDA = torch.device("cuda", 0)


def test_a_named_format_is_taken_and_auto_fits_the_device():
    assert choose_dtype("float32", CUDA) == torch.float32
    assert choose_dtype("bfloat16", CPU) == torch.bfloat16
    assert choose_dtype("auto", CUDA) == torch.float16
    assert choose_dtype("auto", CPU) == (torch.bfloat16 if cpu_multiplies_bfloat16() else torch.float32)


@pytest.mark.parametrize(
    ("capabilities", "multiplies"),
    [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx512_f": True, "avx512_bf16": False}, False)],
)
def test_bfloat16_needs_instructions_for_it(monkeypatch, capabilities, multiplies):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert cpu_multiplies_bfloat16() is multiplies


@pytest.mark.skipif(torch.cuda.is_available(), reason="a machine without a GPU")
def test_a_gpu_that_is_not_there_is_refused_by_name_and_passed_over_by_auto():
    with pytest.raises(DeviceUnavailable, match="cuda"):
        choose_device("cuda")
    assert choose_device("auto") == CPU
    assert gpu_memory(CPU).free_mb == 0
    assert not gpu_memory(CPU).available


def test_xformers_is_not_used_where_no_real_call_of_it_works(load):
    assert not xformers_works(CPU, torch.float32)
    assert load().attention == "sdpa"


def test_xformers_takes_the_self_attention_and_leaves_the_reference_attention(paths):
    unet = load_components(paths, StableDiffusionSettings(), CPU, torch.float32).unet
    use_xformers_for_self_attention(unet)
    kinds = {name: type(processor).__name__ for name, processor in unet.attn_processors.items()}
    assert {kind for name, kind in kinds.items() if ".attn1." in name} == {"XFormersAttnProcessor"}
    assert {kind for name, kind in kinds.items() if ".attn2." in name} == {ReferenceAttention.__name__}
