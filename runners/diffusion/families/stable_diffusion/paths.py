"""Where the parts of a Stable Diffusion profile are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from composition.request import ControlType

IP_ADAPTER_FILES: Mapping[str, str] = {
    "sd15": "ip-adapter_sd15.safetensors",
    "sd15-plus": "ip-adapter-plus_sd15.safetensors",
}
"""Weight file per variant, as in the h94/IP-Adapter repository's `models` folder."""


@dataclass(frozen=True, kw_only=True)
class StableDiffusionPaths:
    """Folders in the on-disk layout of the real repositories; None where a profile has no such model.

    Attributes:
        base: a pipeline's folder (stable-diffusion-v1-5/stable-diffusion-inpainting), or a checkpoint in one file.
        configs: the folder of the profile's own base model, for what a checkpoint leaves out.
        ip_adapter: has `models/<weight file>` and `models/image_encoder` (h94/IP-Adapter).
        ip_adapter_variant: a key of `IP_ADAPTER_FILES`; None takes the first that is there.
        controlnets: one folder per control type.
        lcm_lora: has `pytorch_lora_weights.safetensors` (latent-consistency/lcm-lora-sdv1-5).
        taesd: the tiny autoencoder for previews (madebyollin/taesd).
        loras: allow-listed LoRA folders or files by name.
    """

    base: Path
    configs: Path | None = None
    ip_adapter: Path | None = None
    ip_adapter_variant: str | None = None
    controlnets: Mapping[ControlType, Path] = field(default_factory=dict)
    lcm_lora: Path | None = None
    taesd: Path | None = None
    loras: Mapping[str, Path] = field(default_factory=dict)
