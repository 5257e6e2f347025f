"""Other checkpoints beside the base model: each brings its UNet, autoencoder and text encoder, the rest is the base's.

IP-Adapter, ControlNets, safety checker and preview decoder are held once, whatever checkpoint they work for.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from runners.diffusion.families.stable_diffusion.attention import (
    share_between_views,
    share_reference_attention,
    use_xformers_for_self_attention,
)
from runners.diffusion.families.stable_diffusion.components import Components, load_pipeline, ordinary_tensors
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings


def load_checkpoint(name: str, path: Path, base: Components, settings: StableDiffusionSettings) -> Components:
    """A checkpoint's own parts beside the base's shared ones.

    Raises: OSError, ValueError, ConfigError when the folder or file lacks what it should have.
    """
    paths = replace(base.paths, base=path)
    with ordinary_tensors():
        pipe = load_pipeline(paths, settings, base.device, base.dtype)
    pipe.register_modules(feature_extractor=base.pipe.feature_extractor, image_encoder=base.pipe.image_encoder)
    if base.reference_projection is not None:
        share_reference_attention(base.unet, pipe.unet)
    if base.attention == "xformers":
        use_xformers_for_self_attention(pipe.unet)
    share_between_views(pipe.unet)
    names = (name, *base.names[1:])
    return replace(base, pipe=pipe, text=base.kind.encoder(pipe, base.device), paths=paths, names=names)
