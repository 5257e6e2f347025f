"""Stable Diffusion 1.5 from local model folders."""

from __future__ import annotations

import torch

from composition.config import Config
from models_store.store import ModelSet
from runners.diffusion.engine.counters import Counters
from runners.diffusion.families.sd15.text import Sd15PromptEncoder
from runners.diffusion.families.stable_diffusion.build import load_kind
from runners.diffusion.families.stable_diffusion.family import StableDiffusionFamily
from runners.diffusion.families.stable_diffusion.kind import PipelineKind

SD15 = PipelineKind(
    base_name="sd-inpainting",
    pipeline="StableDiffusionInpaintPipeline",
    # The safety checker is loaded apart from the pipeline, which would blacken what it flags.
    options={"safety_checker": None, "requires_safety_checker": False},
    adapters={
        "sd15": "models/ip-adapter_sd15.safetensors",
        "sd15-plus": "models/ip-adapter-plus_sd15.safetensors",
    },
    encoder=Sd15PromptEncoder,
)


def load_family(config: Config, models: ModelSet, device: torch.device, counters: Counters) -> StableDiffusionFamily:
    return load_kind(SD15, config, models, device, counters)
