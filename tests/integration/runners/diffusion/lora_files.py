"""LoRAs and embeddings for a loaded model, in every layout that they come in."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from composition.lora import LoraKind, LoraUse
from composition.loras.description import describe
from composition.loras.header import read_header

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out")
CONVOLUTIONS = ("conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "time_emb_proj")
TEXT = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")


PLACES = ("down_blocks.0.", "mid_block.", "up_blocks.0.", "text_model.encoder.layers.0.", "encoder.layers.0.")
"""Adapting every layer of a model takes seconds; these have layers of each kind."""


def matrices(model: nn.Module, endings: tuple[str, ...], rank: int, seed: int, gain: float = 0.3) -> dict[str, Any]:
    """Down and up of the layers whose names end so, by their names."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, module in model.named_modules():
        if not name.endswith(endings) or not name.startswith(PLACES):
            continue
        shape = module.weight.shape
        down = torch.randn(rank, *shape[1:], generator=generator) * gain
        up = torch.randn(shape[0], rank, *[1] * (len(shape) - 2), generator=generator) * gain
        found[name] = (down, up)
    assert found, f"no layer is called {endings}"
    return found


def kohya(layers: dict[str, Any], prefix: str = "lora_unet_", alpha: float | None = None) -> dict[str, torch.Tensor]:
    tensors = {}
    for name, (down, up) in layers.items():
        key = prefix + name.replace(".", "_")
        tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up}
        if alpha is not None:
            tensors[f"{key}.alpha"] = torch.tensor(alpha)
    return tensors


def dotted(layers: dict[str, Any], prefix: str, down: str, up: str) -> dict[str, torch.Tensor]:
    tensors = {}
    for name, pair in layers.items():
        tensors |= {f"{prefix}{name}{down}": pair[0], f"{prefix}{name}{up}": pair[1]}
    return tensors


def saved(folder: Path, name: str, tensors: dict[str, torch.Tensor], weight: float = 1.0, **fields: Any) -> LoraUse:
    """A file, described as an upload is."""
    path = folder / f"{name}.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path)
    with path.open("rb") as file:
        facts = describe(read_header(file, path.stat().st_size))
    embedding = facts.kind is LoraKind.EMBEDDING
    return LoraUse(
        name=name,
        weight=weight,
        path=str(path),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        kind=facts.kind,
        token=(facts.token or name) if embedding else None,
        modules=facts.modules,
        **fields,
    )
