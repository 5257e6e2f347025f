"""Writes a diffusers folder as one file of the original layout, as checkpoints are shared.

The names are those of CompVis' `ddpm.LatentDiffusion`, which every such file has; this is their reverse of the reading
that diffusers does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
WEIGHTS = "diffusion_pytorch_model.safetensors"


def write_original(folder: Path, file: Path, *, unet: Mapping[str, torch.Tensor] | None = None) -> Path:
    """The pipeline of `folder` as `file`; `unet` has other weights for its UNet, by their diffusers names."""
    unet_config = json.loads((folder / "unet" / "config.json").read_text())
    vae_config = json.loads((folder / "vae" / "config.json").read_text())
    state = {}
    for name, tensor in (unet or load_file(folder / "unet" / WEIGHTS)).items():
        state[f"model.diffusion_model.{original_unet_name(name, unet_config)}"] = tensor
    for name, tensor in load_file(folder / "vae" / WEIGHTS).items():
        new = original_vae_name(name, len(vae_config["block_out_channels"]))
        is_conv = ".attn_1." in new and new.endswith(".weight") and ".norm." not in new
        state[f"first_stage_model.{new}"] = tensor[:, :, None, None] if is_conv else tensor
    text = "conditioner.embedders.0." if (folder / "text_encoder_2").is_dir() else "cond_stage_model."
    for name, tensor in load_file(folder / "text_encoder" / "model.safetensors").items():
        whole = name if name.startswith("text_model.") else f"text_model.{name}"
        state[f"{text}transformer.{whole}"] = tensor
    if (folder / "text_encoder_2").is_dir():
        second = load_file(folder / "text_encoder_2" / "model.safetensors")
        state |= {f"conditioner.embedders.1.model.{name}": tensor for name, tensor in open_clip(second).items()}
    # What such files carry along: buffers of the training code, and of the text encoder.
    state[f"{text}transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    state["alphas_cumprod"] = torch.linspace(1.0, 0.0, 1000)
    state["model_ema.num_updates"] = torch.tensor(1)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, file)
    return file


def open_clip(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """SDXL's second text encoder by the names of OpenCLIP, which has query, key and value in one matrix."""
    found: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        match = re.match(r"text_model\.encoder\.layers\.(\d+)\.self_attn\.q_proj\.(weight|bias)", name)
        if match:
            parts = [state[name.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            found[f"transformer.resblocks.{match[1]}.attn.in_proj_{match[2]}"] = torch.cat(parts)
        elif name == "text_projection.weight":
            found["text_projection"] = tensor.T
        elif not re.search(r"\.[kv]_proj\.|position_ids", name):
            found[_open_clip_name(name)] = tensor
    return found


def _open_clip_name(name: str) -> str:
    fixed = {
        "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
        "text_model.embeddings.position_embedding.weight": "positional_embedding",
    }
    if name in fixed:
        return fixed[name]
    for new, old in (
        ("text_model.encoder.layers.", "transformer.resblocks."),
        ("text_model.final_layer_norm", "ln_final"),
        (".self_attn.", ".attn."),
        (".layer_norm1.", ".ln_1."),
        (".layer_norm2.", ".ln_2."),
        (".fc1.", ".c_fc."),
        (".fc2.", ".c_proj."),
    ):
        name = name.replace(new, old)
    return name


def original_unet_name(name: str, config: Mapping[str, Any]) -> str:
    layers, levels = config["layers_per_block"], len(config["block_out_channels"])
    fixed = {
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "add_embedding.linear_1": "label_emb.0.0",
        "add_embedding.linear_2": "label_emb.0.2",
        "conv_in": "input_blocks.0.0",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
    }
    for new, old in fixed.items():
        if name.startswith(f"{new}."):
            return name.replace(new, old, 1)
    if match := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", name):
        kind, number, rest = match.groups()
        place = 2 * int(number) if kind == "resnets" else 1
        return f"middle_block.{place}.{_within(kind, rest)}"
    block, kind, number, rest = re.match(r"(\w+_blocks\.\d+)\.(\w+)\.(\d+)\.(.*)", name).groups()
    side, level = block.split(".")
    level, number = int(level), int(number)
    if side == "down_blocks":
        if kind == "downsamplers":
            return f"input_blocks.{(layers + 1) * (level + 1)}.0.op.{rest.removeprefix('conv.')}"
        place = (layers + 1) * level + number + 1
        return f"input_blocks.{place}.{0 if kind == 'resnets' else 1}.{_within(kind, rest)}"
    if kind == "upsamplers":
        attended = config["up_block_types"][level] != "UpBlock2D"
        return f"output_blocks.{(layers + 1) * level + layers}.{2 if attended else 1}.{rest}"
    place = (layers + 1) * level + number
    assert level < levels
    return f"output_blocks.{place}.{0 if kind == 'resnets' else 1}.{_within(kind, rest)}"


def _within(kind: str, rest: str) -> str:
    if kind != "resnets":
        return rest
    layer, _, end = rest.partition(".")
    return f"{RESNET[layer]}.{end}"


def original_vae_name(name: str, levels: int) -> str:
    if match := re.match(r"(encoder|decoder)\.mid_block\.attentions\.0\.(.*)", name):
        side, rest = match.groups()
        names = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
        layer, _, end = rest.rpartition(".")
        return f"{side}.mid.attn_1.{names[layer]}.{end}"
    if match := re.match(r"(encoder|decoder)\.mid_block\.resnets\.(\d)\.(.*)", name):
        side, number, rest = match.groups()
        return f"{side}.mid.block_{int(number) + 1}.{_shortcut(rest)}"
    if match := re.match(r"encoder\.down_blocks\.(\d)\.resnets\.(\d)\.(.*)", name):
        level, number, rest = match.groups()
        return f"encoder.down.{level}.block.{number}.{_shortcut(rest)}"
    if match := re.match(r"decoder\.up_blocks\.(\d)\.resnets\.(\d)\.(.*)", name):
        level, number, rest = match.groups()
        return f"decoder.up.{levels - 1 - int(level)}.block.{number}.{_shortcut(rest)}"
    if match := re.match(r"encoder\.down_blocks\.(\d)\.downsamplers\.0\.(.*)", name):
        return f"encoder.down.{match[1]}.downsample.{match[2]}"
    if match := re.match(r"decoder\.up_blocks\.(\d)\.upsamplers\.0\.(.*)", name):
        return f"decoder.up.{levels - 1 - int(match[1])}.upsample.{match[2]}"
    return name.replace("conv_norm_out", "norm_out")


def _shortcut(rest: str) -> str:
    return rest.replace("conv_shortcut", "nin_shortcut")
