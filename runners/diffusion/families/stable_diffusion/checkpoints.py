"""Other checkpoints beside the base model: each brings its UNet, autoencoder and text encoder, the rest is the base's.

IP-Adapter, ControlNets, safety checker and preview decoder are held once, whatever checkpoint they work for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from runners.diffusion.engine.counters import Counters
from runners.diffusion.families.stable_diffusion.attention import (
    share_reference_attention,
    use_xformers_for_self_attention,
)
from runners.diffusion.families.stable_diffusion.build import build_family
from runners.diffusion.families.stable_diffusion.components import Components, PipelineLoader
from runners.diffusion.families.stable_diffusion.family import StableDiffusionFamily
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings


def load_checkpoint(
    name: str, path: Path, base: Components, settings: StableDiffusionSettings, load_pipeline: PipelineLoader
) -> Components:
    """A checkpoint's own parts beside the base's shared ones.

    Raises: OSError, ValueError, ConfigError when the folder or file lacks what it should have.
    """
    pipe = load_pipeline(replace(base.paths, base=path), replace(settings, safety_checker=False), base.device, base.dtype)
    pipe.register_modules(feature_extractor=base.pipe.feature_extractor, image_encoder=base.pipe.image_encoder)
    if base.reference_projection is not None:
        share_reference_attention(base.unet, pipe.unet)
    if base.attention == "xformers":
        use_xformers_for_self_attention(pipe.unet)
    names = (name, *base.names[1:])
    return replace(base, pipe=pipe, paths=replace(base.paths, base=path), names=names)


def checkpoint_loader(
    base: StableDiffusionFamily,
    settings: StableDiffusionSettings,
    counters: Counters,
    load_pipeline: PipelineLoader,
    find: Callable[[str], Path],
) -> Callable[[str], StableDiffusionFamily]:
    """load(name) -> the family over that checkpoint; `find` says where it is.

    Its UNet runs eager: a graph is compiled for one set of weights in memory, and these come and go.
    """
    own = replace(settings, compile_unet=False)

    def load(name: str) -> StableDiffusionFamily:
        components = load_checkpoint(name, find(name), base.components, own, load_pipeline)
        return build_family(components, own, counters, controlnets=base.controlnets)

    return load
