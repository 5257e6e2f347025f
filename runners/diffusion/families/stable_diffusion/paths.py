"""Where the parts of a Stable Diffusion profile are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from composition.controls import CONTROLS
from composition.few_steps import FEW_STEPS
from composition.request import ControlType, Speed
from models_store.store import ModelSet
from runners.diffusion.families.stable_diffusion.kind import PipelineKind


@dataclass(frozen=True, kw_only=True)
class StableDiffusionPaths:
    """Folders in the on-disk layout of the real repositories; None where a profile has no such model.

    Attributes:
        kind: the family that they belong to.
        base: a pipeline's folder (stable-diffusion-v1-5/stable-diffusion-inpainting), or a checkpoint in one file.
        configs: the folder of the profile's own base model, for what a checkpoint leaves out; None if it is not here.
        safety_checker: has `safety_checker` and `feature_extractor`; None takes those of the base, if it has them.
        ip_adapter: has the kind's weight files and `models/image_encoder` (h94/IP-Adapter).
        ip_adapter_variant: a key of the kind's `adapters`; None takes the first that is there.
        controlnets: one folder per control type.
        speed_loras: of each speed of few steps, has `pytorch_lora_weights.safetensors`
            (latent-consistency/lcm-lora-sdv1-5, h1t/TCD-SD15-LoRA).
        taesd: the tiny autoencoder for previews (madebyollin/taesd).
    """

    kind: PipelineKind
    base: Path
    configs: Path | None = None
    safety_checker: Path | None = None
    ip_adapter: Path | None = None
    ip_adapter_variant: str | None = None
    controlnets: Mapping[ControlType, Path] = field(default_factory=dict)
    speed_loras: Mapping[Speed, Path] = field(default_factory=dict)
    taesd: Path | None = None


def profile_paths(kind: PipelineKind, models: ModelSet) -> StableDiffusionPaths:
    """Those that the profile does not have are None. Raises: ModelsNotImported when the store lacks one."""

    def path(role: str) -> Path | None:
        return models.path(role) if role in models.roles else None

    controlnets = {name: path(control.role) for name, control in CONTROLS.items()}
    return StableDiffusionPaths(
        kind=kind,
        base=models.path(models.base_role),
        configs=models.configs,
        safety_checker=path("safety-checker"),
        ip_adapter=path("ip-adapter"),
        ip_adapter_variant=models.ip_adapter_variant,
        controlnets={name: folder for name, folder in controlnets.items() if folder is not None},
        speed_loras={speed: folder for speed, few in FEW_STEPS.items() if (folder := path(few.role)) is not None},
        taesd=path("taesd"),
    )
