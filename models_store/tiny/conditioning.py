"""What conditions the UNet: ControlNets, IP-Adapters and the LCM LoRA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel
from transformers import CLIPVisionModelWithProjection

from models_store.tiny.clip import vision_config
from models_store.tiny.dimensions import (
    CHANNELS,
    CHANNELS_XL,
    CROSS_DIM,
    CROSS_DIM_XL,
    GROUPS,
    IMAGE_EMBED_DIM,
    IMAGE_HIDDEN_DIM,
)
from models_store.tiny.saving import randomize, save_tensors, save_with_half
from models_store.tiny.sdxl import ADDED_CONDITIONS, make_sdxl_unet
from models_store.tiny.stable_diffusion import make_unet

Tensors = dict[str, torch.Tensor]

_CONTROL_GAIN, _CONTROL_STD = 2.3, 0.2
_IMAGE_TOKENS = 4
_PLUS_TOKENS = 16
_PLUS_LAYERS = 4
_HEAD_DIM = 64
"""The resampler's head size is fixed in the loaders: the number of heads is read off the weights."""
_LORA_RANK = 4
_LORA_LAYERS = (
    "to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv2",
    "conv_shortcut", "time_emb_proj", "downsamplers.0.conv", "upsamplers.0.conv",
)  # fmt: skip


def build_controlnet(folder: Path) -> None:
    """Any of ControlNet v1.1 (lllyasviel/control_v11*); the seed of the role makes each another."""
    _save_controlnet(
        folder,
        block_out_channels=CHANNELS,
        attention_head_dim=2,
        cross_attention_dim=CROSS_DIM,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    )


def build_sdxl_controlnet(folder: Path) -> None:
    """Any of xinsir/controlnet-*-sdxl-1.0."""
    _save_controlnet(
        folder,
        block_out_channels=CHANNELS_XL,
        attention_head_dim=[1, 2, 2],
        cross_attention_dim=CROSS_DIM_XL,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        transformer_layers_per_block=[1, 1, 2],
        **ADDED_CONDITIONS,
    )


def _save_controlnet(folder: Path, **settings: Any) -> None:
    model = ControlNetModel(
        in_channels=4,
        layers_per_block=1,
        norm_num_groups=GROUPS,
        conditioning_embedding_out_channels=(4, 4, 8, 8),
        **settings,
    )
    # A fresh ControlNet's last layers are zero, and little of the control image reaches them: it would do nothing.
    randomize(model.controlnet_cond_embedding, gain=_CONTROL_GAIN)
    for layer in (*model.controlnet_down_blocks, model.controlnet_mid_block):
        torch.nn.init.normal_(layer.weight, std=_CONTROL_STD)
    save_with_half(model, folder)


def build_ip_adapter(folder: Path) -> None:
    """h94/IP-Adapter: the image encoder, the plain and the plus adapter for Stable Diffusion 1.5."""
    _save_adapters(folder, make_unet(), CROSS_DIM, "models/ip-adapter_sd15", "models/ip-adapter-plus_sd15")


def build_sdxl_ip_adapter(folder: Path) -> None:
    """h94/IP-Adapter: the same image encoder, and both adapters that take it for SDXL."""
    names = "sdxl_models/ip-adapter_sdxl_vit-h", "sdxl_models/ip-adapter-plus_sdxl_vit-h"
    _save_adapters(folder, make_sdxl_unet(), CROSS_DIM_XL, *names)


def _save_adapters(folder: Path, unet: Any, cross_dim: int, plain: str, plus: str) -> None:
    encoder = CLIPVisionModelWithProjection(
        vision_config(hidden=IMAGE_HIDDEN_DIM, patch_px=56, projection=IMAGE_EMBED_DIM)
    )
    encoder.save_pretrained(folder / "models" / "image_encoder")
    attention = _adapter_attention(unet, cross_dim)
    for name, projection in {plain: _linear_projection(cross_dim), plus: _resampler(cross_dim)}.items():
        tensors = {f"image_proj.{key}": tensor for key, tensor in projection.items()}
        tensors |= {f"ip_adapter.{key}": tensor for key, tensor in attention.items()}
        save_tensors(tensors, folder / f"{name}.safetensors")


def _adapter_attention(unet: Any, cross_dim: int) -> Tensors:
    """Keys and values for each cross-attention; the published files number them 1, 3, 5 ... in the UNet's order."""
    crossing = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    tensors: Tensors = {}
    for index, name in enumerate(crossing):
        width = unet.get_submodule(name.removesuffix(".processor")).to_q.out_features
        for kind in ("k", "v"):
            tensors[f"{2 * index + 1}.to_{kind}_ip.weight"] = torch.randn(width, cross_dim) * 0.2
    return tensors


def _linear_projection(cross_dim: int) -> Tensors:
    return {
        "proj.weight": torch.randn(_IMAGE_TOKENS * cross_dim, IMAGE_EMBED_DIM) * 0.2,
        "proj.bias": torch.zeros(_IMAGE_TOKENS * cross_dim),
        "norm.weight": torch.ones(cross_dim),
        "norm.bias": torch.zeros(cross_dim),
    }


def _resampler(cross_dim: int) -> Tensors:
    """The plus variant's perceiver, under the names of its first publication."""
    width = IMAGE_HIDDEN_DIM

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape) * 0.1

    tensors = {
        "latents": normal(1, _PLUS_TOKENS, width),
        "proj_in.weight": normal(width, IMAGE_HIDDEN_DIM),
        "proj_in.bias": normal(width),
        "proj_out.weight": normal(cross_dim, width),
        "proj_out.bias": normal(cross_dim),
        "norm_out.weight": torch.ones(cross_dim),
        "norm_out.bias": torch.zeros(cross_dim),
    }
    for layer in range(_PLUS_LAYERS):
        attention, feed_forward = f"layers.{layer}.0", f"layers.{layer}.1"
        for norm in (f"{attention}.norm1", f"{attention}.norm2", f"{feed_forward}.0"):
            tensors[f"{norm}.weight"], tensors[f"{norm}.bias"] = torch.ones(width), torch.zeros(width)
        tensors[f"{attention}.to_q.weight"] = normal(_HEAD_DIM, width)
        tensors[f"{attention}.to_kv.weight"] = normal(2 * _HEAD_DIM, width)
        tensors[f"{attention}.to_out.weight"] = normal(width, _HEAD_DIM)
        tensors[f"{feed_forward}.1.weight"] = normal(4 * width, width)
        tensors[f"{feed_forward}.3.weight"] = normal(width, 4 * width)
    return tensors


def build_speed_lora(folder: Path) -> None:
    """latent-consistency/lcm-lora-sdv1-5, h1t/TCD-SD15-LoRA: one file, layers named as in kohya's scripts."""
    _save_lora(make_unet(), folder)


def build_sdxl_speed_lora(folder: Path) -> None:
    """latent-consistency/lcm-lora-sdxl, h1t/TCD-SDXL-LoRA: the same for SDXL's layers."""
    _save_lora(make_sdxl_unet(), folder)


def _save_lora(unet: Any, folder: Path) -> None:
    tensors: Tensors = {}
    for name, module in unet.named_modules():
        if not name.endswith(_LORA_LAYERS):
            continue
        key = "lora_unet_" + name.replace(".", "_")
        shape = module.weight.shape
        tensors[f"{key}.lora_down.weight"] = torch.randn(_LORA_RANK, *shape[1:]) * 0.1
        tensors[f"{key}.lora_up.weight"] = torch.randn(shape[0], _LORA_RANK, *(1 for _ in shape[2:])) * 0.1
        tensors[f"{key}.alpha"] = torch.tensor(float(_LORA_RANK))
    save_tensors(tensors, folder / "pytorch_lora_weights.safetensors")
