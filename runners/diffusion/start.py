"""From the configuration and the model store to a running engine."""

from __future__ import annotations

import os
import signal

import torch

from composition.config import Config, ConfigError
from models_store.store import ModelSet
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.settings import EngineSettings
from runners.diffusion.engine.step_engine import StepEngine
from runners.diffusion.families.registry import load_family
from runners.diffusion.torch_device import TorchDevice

_REASON_CHARS = 400


class UnloadableModel(ConfigError):
    """A folder or file lacks what its loader needs: another start would find it lacking again."""


def start_engine(config: Config, models: ModelSet, device: torch.device, counters: Counters) -> StepEngine:
    """Load the profile's diffusion models onto `device` and start the engine, which counts on `counters`.

    When the device is lost the process ends itself, as only a new one gets the device back; BentoML or the worker's
    supervisor starts it.

    Raises: UnservedPipeline, ModelsNotImported, UnloadableModel.
    """
    try:
        family = load_family(config, models, device, counters)
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:_REASON_CHARS]
        raise UnloadableModel(f"the diffusion models of profile {models.profile} do not load: {reason}") from error
    return StepEngine(
        family, TorchDevice(device), EngineSettings.from_config(config), counters, on_device_lost=_end_process
    )


def _end_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
