"""Saving weights under the names and in the variants that the real repositories have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

DIFFUSERS_WEIGHTS = "diffusion_pytorch_model"
TRANSFORMERS_WEIGHTS = "model"


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write a .safetensors file, creating its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata={"format": "pt"})


def save_with_half(model: Any, folder: Path) -> None:
    """Save a model and, beside it, its float16 variant (`variant="fp16"`)."""
    model.save_pretrained(folder)
    add_half_variant(folder)


def add_half_variant(folder: Path) -> None:
    """Write `<name>.fp16.safetensors` beside the one weights file of a folder."""
    for name in (DIFFUSERS_WEIGHTS, TRANSFORMERS_WEIGHTS):
        path = folder / f"{name}.safetensors"
        if path.is_file():
            halves = {key: t.half() if t.is_floating_point() else t for key, t in load_file(path).items()}
            save_tensors(halves, folder / f"{name}.fp16.safetensors")


def prefix_names(folder: Path, prefix: str, *, only: str = "") -> None:
    """Put `prefix` before every weight name that starts with `only`.

    transformers 5 flattened CLIP's text and vision models; the published weights keep the older, nested names.
    """
    path = folder / f"{TRANSFORMERS_WEIGHTS}.safetensors"
    tensors = load_file(path)
    save_tensors({(prefix + name if name.startswith(only) else name): t for name, t in tensors.items()}, path)


def randomize(model: torch.nn.Module, gain: float) -> None:
    """Xavier-normal weights for every matrix and filter: the stock initialisation barely lets the input through."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.xavier_normal_(parameter, gain=gain)
