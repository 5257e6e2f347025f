"""Loads every part of the diffusion model from local folders, with the loaders that real repositories use.

Each weight is held once, whatever a request combines: the parts are shared, and what differs between requests is
data (see `state.py`), never a second pipeline.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from composition.diffusion import IP_ADAPTER
from runners.diffusion.families.stable_diffusion.attention import (
    adopt_reference_attention,
    share_between_views,
    use_xformers_for_self_attention,
    xformers_works,
)
from runners.diffusion.families.stable_diffusion.kind import PipelineKind
from runners.diffusion.families.stable_diffusion.paths import StableDiffusionPaths
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from runners.diffusion.families.stable_diffusion.single_file import load_single_file
from runners.diffusion.families.stable_diffusion.text import PromptEncoder

logger = logging.getLogger(__name__)

SAFETY_CHECKER = "safety-checker"
"""A name that responses and /health report; the base model's is its kind's."""
IMAGE_ENCODER = "models/image_encoder"
"""In the h94/IP-Adapter repository: the ViT-H that the adapters of every kind in use here take."""
SAFETY_CHECKER_FOLDER = "safety_checker"


@dataclass(frozen=True, kw_only=True, eq=False)
class Components:
    """The loaded parts, all on `device` in `dtype` (offloading moves them later).

    Attributes:
        pipe: the kind's stock pipeline, used only for what has no state: pre- and post-processing and tokenising.
        text: its text encoders.
        image_encoder: CLIP vision model of the IP-Adapter, or None.
        reference_projection: image embeddings -> the IP-Adapter's tokens, or None.
        reference_hidden_states: the adapter takes the encoder's last but one layer ("plus"), not its embedding.
        safety_checker: None when it is off or the profile has none.
        safety_extractor: makes its input of an image.
        taesd: the tiny decoder for previews, or None.
        attention: "xformers" or "sdpa".
        names: of the models, as responses and /health report them; the first one is the base's.
    """

    pipe: Any
    text: PromptEncoder
    paths: StableDiffusionPaths
    device: torch.device
    dtype: torch.dtype
    attention: str
    image_encoder: Any = None
    reference_projection: nn.Module | None = None
    reference_hidden_states: bool = False
    safety_checker: Any = None
    safety_extractor: Any = None
    taesd: Any = None
    names: tuple[str, ...] = field(default=())

    @property
    def kind(self) -> PipelineKind:
        return self.paths.kind

    @property
    def upcasts_vae(self) -> bool:
        """The autoencoder encodes in full precision, and does not decode in half, as its settings ask."""
        return self.kind.obeys_force_upcast and bool(self.vae.config.force_upcast)

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
            **self.text.modules,
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
    kind = paths.kind
    pipe = load_pipeline(paths, settings, device, dtype)
    safety_checker, safety_extractor = None, None
    if settings.safety_checker:
        safety_checker, safety_extractor = _load_safety_checker(_with_safety_checker(paths), pipe, dtype)
    projection, plus = None, False
    if paths.ip_adapter is not None:
        projection, plus = _load_ip_adapter(pipe, kind, paths.ip_adapter, paths.ip_adapter_variant)
    use_xformers = settings.use_xformers and xformers_works(device, dtype)
    if use_xformers:
        use_xformers_for_self_attention(pipe.unet)
    share_between_views(pipe.unet)
    attention = "xformers" if use_xformers else "sdpa"
    compiled = "compiled as it is used" if settings.compile_blocks else "not compiled"
    logger.info("diffusion on %s in %s, attention %s, %s, from %s", device, dtype, attention, compiled, paths.base)
    names = [kind.base_name] + [IP_ADAPTER] * (projection is not None) + [SAFETY_CHECKER] * (safety_checker is not None)
    return Components(
        pipe=pipe,
        text=kind.encoder(pipe, device),
        paths=paths,
        device=device,
        dtype=dtype,
        attention=attention,
        image_encoder=pipe.image_encoder,
        reference_projection=projection,
        reference_hidden_states=plus,
        safety_checker=safety_checker,
        safety_extractor=safety_extractor,
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


def ordinary_tensors() -> AbstractContextManager[None]:
    """Held while weights are loaded in the middle of serving, so that they compute as those that were loaded before.

    Weights made in inference mode need no gradient, and by that torch chooses how it multiplies: the last bits differ.
    """
    return torch.inference_mode(mode=False)


def weights_variant(folder: Path, dtype: torch.dtype, name: str = "diffusion_pytorch_model") -> str | None:
    """The file variant to read: "fp16" where the folder ships it and half precision runs, or ships nothing else.

    A variant in shards is one too. Files of another `name` say nothing about whether there is full precision.
    """
    half = any(folder.rglob("*.fp16*.safetensors"))
    full = any(".fp16" not in path.name for path in folder.rglob(f"{name}*.safetensors"))
    return "fp16" if half and (dtype is torch.float16 or not full) else None


def load_pipeline(
    paths: StableDiffusionPaths, settings: StableDiffusionSettings, device: torch.device, dtype: torch.dtype
) -> Any:
    """The stock pipeline over the base, a folder or one file; its UNet may be one that was not made for inpainting."""
    import diffusers

    base, kind = paths.base, paths.kind
    pipeline = getattr(diffusers, kind.pipeline)
    if base.is_file():
        assert paths.configs is not None, "one file has no configuration of its own"
        pipe = load_single_file(pipeline, base, paths.configs, dtype, **kind.options)
    else:
        variant = weights_variant(base, dtype)
        pipe = pipeline.from_pretrained(base, dtype=dtype, variant=variant, local_files_only=True, **kind.options)
    # Offloading brings each of the other parts to the device only while it is used (`ModelVisits`).
    (pipe.unet if settings.offload else pipe).to(device)
    return pipe


def _with_safety_checker(paths: StableDiffusionPaths) -> Path:
    """Where the safety checker is: a role's, the base's own, or that of the profile's own base."""
    candidates = (paths.safety_checker, paths.base, paths.configs)
    there = (folder for folder in candidates if folder is not None and (folder / SAFETY_CHECKER_FOLDER).is_dir())
    return next(there, paths.base)


def _load_safety_checker(folder: Path, pipe: Any, dtype: torch.dtype) -> tuple[Any, Any]:
    """The checker, where the pipeline's other parts are, and its feature extractor; two None when there is none."""
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPImageProcessor

    checker = folder / SAFETY_CHECKER_FOLDER
    if not checker.is_dir():
        logger.warning("%s has no safety checker: images are not checked", folder.name)
        return None, None
    variant = weights_variant(checker, dtype, "model")
    loaded = StableDiffusionSafetyChecker.from_pretrained(checker, dtype=dtype, variant=variant, local_files_only=True)
    extractor = CLIPImageProcessor.from_pretrained(folder, subfolder="feature_extractor", local_files_only=True)
    return loaded.to(pipe.vae.device).eval(), extractor


def _load_ip_adapter(pipe: Any, kind: PipelineKind, folder: Path, variant: str | None) -> tuple[nn.Module, bool]:
    """The projection and whether the adapter is a "plus" one; the attention's weights land in the UNet."""
    from diffusers.models.embeddings import ImageProjection

    if variant is not None and variant not in kind.adapters:
        raise ValueError(f"IP-Adapter variant {variant} does not fit {kind.base_name}: {', '.join(kind.adapters)} do")
    names = [kind.adapters[variant]] if variant else list(kind.adapters.values())
    present = [name for name in names if (folder / name).is_file()]
    if not present:
        raise FileNotFoundError(f"{folder} has none of {', '.join(names)}")
    subfolder, _, weights = present[0].rpartition("/")
    pipe.load_ip_adapter(
        str(folder),
        subfolder=subfolder,
        weight_name=weights,
        image_encoder_folder=IMAGE_ENCODER,
        local_files_only=True,
    )
    projection = adopt_reference_attention(pipe.unet).to(pipe.device)
    layers: Any = projection.image_projection_layers
    return projection, not isinstance(layers[0], ImageProjection)


def _load_taesd(folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    from diffusers import AutoencoderTiny

    return AutoencoderTiny.from_pretrained(folder, dtype=dtype, local_files_only=True).to(device).eval()
