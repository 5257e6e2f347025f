"""Which family serves a profile: the one for its base model's pipeline class.

A new family is a folder here, with a `load_family` in its `build` module, and its line in `models_store.pipelines`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

import torch

from composition.config import Config
from models_store.store import ModelSet
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.family import Family


def load_family(config: Config, models: ModelSet, device: torch.device, counters: Counters) -> Family[Any]:
    """Load the models of the configuration's profile; `counters` are told how often each of them runs.

    Raises:
        UnservedPipeline: the base model is of a class that no family serves.
        ModelsNotImported: the store lacks a model.
        OSError, ValueError: a folder lacks what it should have.
    """
    build = import_module(f"{__package__}.{models.family}.build")
    return cast(Family[Any], build.load_family(config, models, device, counters))
