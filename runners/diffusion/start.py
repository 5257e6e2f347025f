"""From the configuration and the model store to a running engine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import torch

from composition.config import Config
from composition.controls import CONTROLS
from models_store.store import ModelSet
from runners.device import choose_dtype
from runners.diffusion.engine.step_engine import StepEngine
from runners.diffusion.families.sd15.build import build_engine
from runners.diffusion.settings import DiffusionPaths, DiffusionSettings


def start_engine(config: Config, models: ModelSet, device: torch.device) -> StepEngine:
    """Load the profile's diffusion models onto `device` and start the engine.

    When the device is lost the process ends itself, as only a new one gets the device back; BentoML or the worker's
    supervisor starts it.

    Raises:
        ModelsNotImported: the store lacks the base model, or another that the profile names.
    """
    settings = DiffusionSettings.from_config(config, on_cuda=device.type == "cuda", native_size=models.native_size)
    dtype = choose_dtype(config.models.dtype, device)
    return build_engine(diffusion_paths(models), settings, device, dtype, _end_process)


def _end_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def diffusion_paths(models: ModelSet) -> DiffusionPaths:
    """Where the diffusion model's parts are; those that the profile does not have are None.

    Raises:
        ModelsNotImported: the store lacks one.
    """

    def path(role: str) -> Path | None:
        return models.path(role) if role in models.roles else None

    controlnets = {name: path(control.role) for name, control in CONTROLS.items()}
    return DiffusionPaths(
        base=models.path(models.base_role),
        ip_adapter=path("ip-adapter"),
        ip_adapter_variant=models.ip_adapter_variant,
        controlnets={name: folder for name, folder in controlnets.items() if folder is not None},
        lcm_lora=path("lcm-lora"),
        taesd=path("taesd"),
    )
