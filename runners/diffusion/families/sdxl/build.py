"""Stable Diffusion XL from local model folders."""

from __future__ import annotations

import torch

from composition.config import Config
from models_store.store import ModelSet
from runners.diffusion.engine.counters import Counters
from runners.diffusion.families.sdxl.text import SdxlPromptEncoder
from runners.diffusion.families.stable_diffusion.build import load_kind
from runners.diffusion.families.stable_diffusion.family import StableDiffusionFamily
from runners.diffusion.families.stable_diffusion.kind import PipelineKind

SDXL = PipelineKind(
    base_name="sdxl-inpainting",
    pipeline="StableDiffusionXLInpaintPipeline",
    # Images are marked where they leave the service (`composition.provenance`), not in the decoder.
    options={"add_watermarker": False},
    adapters={
        "sdxl": "sdxl_models/ip-adapter_sdxl_vit-h.safetensors",
        "sdxl-plus": "sdxl_models/ip-adapter-plus_sdxl_vit-h.safetensors",
    },
    encoder=SdxlPromptEncoder,
    obeys_force_upcast=True,
)


def load_family(config: Config, models: ModelSet, device: torch.device, counters: Counters) -> StableDiffusionFamily:
    return load_kind(SDXL, config, models, device, counters)
