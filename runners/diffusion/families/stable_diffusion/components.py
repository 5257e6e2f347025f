"""Loads every part of the diffusion model from local folders, with the loaders that real repositories use.

Each weight is held once, whatever a request combines: the parts are shared, and what differs between requests is
data (see `state.py`), never a second pipeline.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn

from runners.diffusion.families.stable_diffusion.attention import (
    adopt_reference_attention,
    use_xformers_for_self_attention,
    xformers_works,
)
from runners.diffusion.families.stable_diffusion.paths import IP_ADAPTER_FILES, StableDiffusionPaths
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from runners.diffusion.families.stable_diffusion.single_file import load_single_file

logger = logging.getLogger(__name__)

BASE_MODEL, IP_ADAPTER, SAFETY_CHECKER = "sd-inpainting", "ip-adapter", "safety-checker"
"""The names that responses and /health report."""


PipelineLoader: TypeAlias = Callable[[StableDiffusionPaths, StableDiffusionSettings, torch.device, torch.dtype], Any]
"""Loads the base of the paths as a stock pipeline, without the IP-Adapter."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Components:
    """The loaded parts, all on `device` in `dtype` (offloading moves them later).

    Attributes:
        pipe: a stock StableDiffusionInpaintPipeline, used only for what has no state: pre- and post-processing and
            the text encoder's tokenising.
        image_encoder: CLIP vision model of the IP-Adapter, or None.
        reference_projection: image embeddings -> the IP-Adapter's tokens, or None.
        reference_hidden_states: the adapter takes the encoder's last but one layer ("plus"), not its embedding.
        safety_checker: None when it is off or the repository has none.
        taesd: the tiny decoder for previews, or None.
        attention: "xformers" or "sdpa".
        names: of the models, as responses and /health report them; the first one is the base's.
    """

    pipe: Any
    paths: StableDiffusionPaths
    device: torch.device
    dtype: torch.dtype
    attention: str
    image_encoder: Any = None
    reference_projection: nn.Module | None = None
    reference_hidden_states: bool = False
    safety_checker: Any = None
    taesd: Any = None
    names: tuple[str, ...] = field(default=())

    @property
    def unet(self) -> Any:
        return self.pipe.unet

    @property
    def vae(self) -> Any:
        return self.pipe.vae

    @property
    def latent_scale(self) -> int:
        """Pixels per latent cell and side, 8 for the published models."""
        return int(self.pipe.vae_scale_factor)

    def modules(self) -> dict[str, nn.Module]:
        """Every module with weights, by name; ControlNets are elsewhere (`ControlNetPool`)."""
        parts = {
            "unet": self.unet,
            "vae": self.vae,
            "text_encoder": self.pipe.text_encoder,
            "image_encoder": self.image_encoder,
            "reference_projection": self.reference_projection,
            "safety_checker": self.safety_checker,
            "taesd": self.taesd,
        }
        return {name: module for name, module in parts.items() if module is not None}


def load_components(
    paths: StableDiffusionPaths, settings: StableDiffusionSettings, device: torch.device, dtype: torch.dtype
) -> Components:
    """Load all parts but the ControlNets. Raises: OSError, ValueError when a folder lacks what it should have."""
    _silence_progress_bars()
    pipe = load_inpainting(paths, settings, device, dtype)
    safety_checker, pipe.safety_checker = pipe.safety_checker, None
    if settings.safety_checker and safety_checker is None:
        logger.warning("%s has no safety checker: images are not checked", paths.base.name)
    projection, plus = None, False
    if paths.ip_adapter is not None:
        projection, plus = _load_ip_adapter(pipe, paths.ip_adapter, paths.ip_adapter_variant)
    use_xformers = settings.use_xformers and xformers_works(device, dtype)
    if use_xformers:
        use_xformers_for_self_attention(pipe.unet)
    attention = "xformers" if use_xformers else "sdpa"
    compiled = "compiled" if settings.compile_unet else "not compiled"
    logger.info("diffusion on %s in %s, attention %s, UNet %s, from %s", device, dtype, attention, compiled, paths.base)
    names = [BASE_MODEL] + [IP_ADAPTER] * (projection is not None) + [SAFETY_CHECKER] * (safety_checker is not None)
    return Components(
        pipe=pipe,
        paths=paths,
        device=device,
        dtype=dtype,
        attention=attention,
        image_encoder=pipe.image_encoder,
        reference_projection=projection,
        reference_hidden_states=plus,
        safety_checker=safety_checker,
        taesd=None if paths.taesd is None else _load_taesd(paths.taesd, device, dtype),
        names=tuple(names),
    )


def _silence_progress_bars() -> None:
    import diffusers.utils.logging
    import transformers.utils.logging

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    # One announces the black image that this service never returns, the other warns of an empty list at every move.
    for name in ("diffusers.pipelines.stable_diffusion.safety_checker", "diffusers.models.modeling_utils"):
        logging.getLogger(name).setLevel(logging.ERROR)


def weights_variant(folder: Path, dtype: torch.dtype) -> str | None:
    """The file variant to read: "fp16" where the repository ships it and half precision runs, or ships nothing else."""
    half = any(folder.rglob("*.fp16.safetensors"))
    full = any(
        not path.name.endswith(".fp16.safetensors") for path in folder.rglob("diffusion_pytorch_model*.safetensors")
    )
    return "fp16" if half and (dtype is torch.float16 or not full) else None


def load_inpainting(
    paths: StableDiffusionPaths, settings: StableDiffusionSettings, device: torch.device, dtype: torch.dtype
) -> Any:
    """The stock inpainting pipeline over the base, a folder or one file; the UNet may be one that is not for inpainting.

    A base without a safety checker gets the one of the profile's own, where that is there.
    """
    from diffusers import StableDiffusionInpaintPipeline

    base, options = paths.base, {"requires_safety_checker": False}
    if not settings.safety_checker or not (base / "safety_checker").is_dir():
        options |= {"safety_checker": _load_safety_checker(paths.configs, dtype) if settings.safety_checker else None}
    if base.is_file():
        assert paths.configs is not None, "one file has no configuration of its own"
        pipe = load_single_file(StableDiffusionInpaintPipeline, base, paths.configs, dtype, **options)
    else:
        pipe = StableDiffusionInpaintPipeline.from_pretrained(
            base, dtype=dtype, variant=weights_variant(base, dtype), local_files_only=True, **options
        )
    # Offloading brings each of the other parts to the device only while it is used (`ModelOffload`).
    (pipe.unet if settings.offload else pipe).to(device)
    return pipe


def _load_safety_checker(folder: Path | None, dtype: torch.dtype) -> Any:
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

    if folder is None or not (folder / "safety_checker").is_dir():
        return None
    return StableDiffusionSafetyChecker.from_pretrained(
        folder, subfolder="safety_checker", dtype=dtype, variant=weights_variant(folder, dtype), local_files_only=True
    )


def _load_ip_adapter(pipe: Any, folder: Path, variant: str | None) -> tuple[nn.Module, bool]:
    """The projection and whether the adapter is a "plus" one; the attention's weights land in the UNet."""
    from diffusers.models.embeddings import ImageProjection

    names = [IP_ADAPTER_FILES[variant]] if variant else list(IP_ADAPTER_FILES.values())
    present = [name for name in names if (folder / "models" / name).is_file()]
    if not present:
        raise FileNotFoundError(f"{folder / 'models'} has none of {', '.join(names)}")
    pipe.load_ip_adapter(str(folder), subfolder="models", weight_name=present[0], local_files_only=True)
    projection = adopt_reference_attention(pipe.unet).to(pipe.device)
    layers: Any = projection.image_projection_layers
    return projection, not isinstance(layers[0], ImageProjection)


def _load_taesd(folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    from diffusers import AutoencoderTiny

    return AutoencoderTiny.from_pretrained(folder, dtype=dtype, local_files_only=True).to(device).eval()
