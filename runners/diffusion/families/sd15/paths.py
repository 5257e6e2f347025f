"""Where the parts of a Stable Diffusion 1.5 profile are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from composition.controls import CONTROLS
from composition.request import ControlType
from models_store.store import ModelSet

IP_ADAPTER_FILES: Mapping[str, str] = {
    "sd15": "ip-adapter_sd15.safetensors",
    "sd15-plus": "ip-adapter-plus_sd15.safetensors",
}
"""Weight file per variant, as in the h94/IP-Adapter repository's `models` folder."""


@dataclass(frozen=True, kw_only=True)
class Sd15Paths:
    """Folders in the on-disk layout of the real repositories; None where a profile has no such model.

    Attributes:
        base: an inpainting pipeline (stable-diffusion-v1-5/stable-diffusion-inpainting).
        ip_adapter: has `models/<weight file>` and `models/image_encoder` (h94/IP-Adapter).
        ip_adapter_variant: a key of `IP_ADAPTER_FILES`; None takes the first that is there.
        controlnets: one folder per control type.
        lcm_lora: has `pytorch_lora_weights.safetensors` (latent-consistency/lcm-lora-sdv1-5).
        taesd: the tiny autoencoder for previews (madebyollin/taesd).
        loras: allow-listed LoRA folders or files by name.
    """

    base: Path
    ip_adapter: Path | None = None
    ip_adapter_variant: str | None = None
    controlnets: Mapping[ControlType, Path] = field(default_factory=dict)
    lcm_lora: Path | None = None
    taesd: Path | None = None
    loras: Mapping[str, Path] = field(default_factory=dict)


def sd15_paths(models: ModelSet) -> Sd15Paths:
    """Those that the profile does not have are None. Raises: ModelsNotImported when the store lacks one."""

    def path(role: str) -> Path | None:
        return models.path(role) if role in models.roles else None

    controlnets = {name: path(control.role) for name, control in CONTROLS.items()}
    return Sd15Paths(
        base=models.path(models.base_role),
        ip_adapter=path("ip-adapter"),
        ip_adapter_variant=models.ip_adapter_variant,
        controlnets={name: folder for name, folder in controlnets.items() if folder is not None},
        lcm_lora=path("lcm-lora"),
        taesd=path("taesd"),
    )
