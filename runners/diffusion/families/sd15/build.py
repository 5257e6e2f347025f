"""Stable Diffusion 1.5 from local model folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from composition.config import Config
from composition.controls import CONTROLS
from models_store.store import ModelSet
from runners.device import choose_dtype
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.family import Family
from runners.diffusion.families.checkpoint_switch import CheckpointSwitch
from runners.diffusion.families.stable_diffusion.build import build_family
from runners.diffusion.families.stable_diffusion.checkpoints import checkpoint_loader
from runners.diffusion.families.stable_diffusion.components import load_components, load_inpainting
from runners.diffusion.families.stable_diffusion.paths import StableDiffusionPaths
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from runners.diffusion.torch_device import TorchDevice


def load_family(config: Config, models: ModelSet, device: torch.device, counters: Counters) -> Family[Any]:
    """The base model, with the checkpoints that requests may name beside it where there are any."""
    settings = StableDiffusionSettings.from_config(
        config, on_cuda=device.type == "cuda", native_size=models.native_size
    )
    dtype = choose_dtype(config.models.dtype, device)
    base = build_family(load_components(sd15_paths(models), settings, device, dtype), settings, counters)
    if not models.checkpoints:
        return base
    return CheckpointSwitch(
        base,
        models.checkpoints,
        checkpoint_loader(base, settings, counters, load_inpainting, models.checkpoints.__getitem__),
        max_loaded=config.models.max_loaded_checkpoints,
        release_device=TorchDevice(device).release,
    )


def sd15_paths(models: ModelSet) -> StableDiffusionPaths:
    """Those that the profile does not have are None. Raises: ModelsNotImported when the store lacks one."""

    def path(role: str) -> Path | None:
        return models.path(role) if role in models.roles else None

    controlnets = {name: path(control.role) for name, control in CONTROLS.items()}
    return StableDiffusionPaths(
        base=models.path(models.base_role),
        configs=models.configs,
        ip_adapter=path("ip-adapter"),
        ip_adapter_variant=models.ip_adapter_variant,
        controlnets={name: folder for name, folder in controlnets.items() if folder is not None},
        lcm_lora=path("lcm-lora"),
        taesd=path("taesd"),
    )
