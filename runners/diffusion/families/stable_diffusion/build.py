"""Puts a family together over loaded components."""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import os
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import torch

from composition.config import Config
from models_store.store import ModelSet
from runners.compilers import reason_not_to_compile
from runners.device import choose_dtype
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.family import Family
from runners.diffusion.families.checkpoint_switch import CheckpointSwitch
from runners.diffusion.families.stable_diffusion.checkpoints import load_checkpoint
from runners.diffusion.families.stable_diffusion.compilation.blocks import adopt_blocks
from runners.diffusion.families.stable_diffusion.compilation.compiler import BlockCompiler
from runners.diffusion.families.stable_diffusion.compilation.learnt import LearntCalls
from runners.diffusion.families.stable_diffusion.components import Components, load_components
from runners.diffusion.families.stable_diffusion.controlnets import ControlNetPool
from runners.diffusion.families.stable_diffusion.decoding import Decoder
from runners.diffusion.families.stable_diffusion.family import StableDiffusionFamily
from runners.diffusion.families.stable_diffusion.forward import BatchForward
from runners.diffusion.families.stable_diffusion.kind import PipelineKind
from runners.diffusion.families.stable_diffusion.loras import LoraSets
from runners.diffusion.families.stable_diffusion.paths import profile_paths
from runners.diffusion.families.stable_diffusion.preprocess import Preprocessor
from runners.diffusion.families.stable_diffusion.row_runner import UNET, RowRunner
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from runners.diffusion.torch_device import TorchDevice
from runners.int8 import quantise
from runners.visits import ModelVisits

logger = logging.getLogger(__name__)


def load_kind(
    kind: PipelineKind, config: Config, models: ModelSet, device: torch.device, counters: Counters
) -> Family[Any]:
    """The family of a configuration's profile, with the checkpoints that requests may name beside the base model.

    What is compiled for one serves all.
    Raises: as `load_components`, and ModelsNotImported.
    """
    settings = StableDiffusionSettings.from_config(
        config,
        on_cuda=device.type == "cuda",
        no_compiler=reason_not_to_compile(),
    )
    settings = settings.shared_by(1 + min(config.models.max_loaded_checkpoints, len(models.checkpoints)))
    dtype = choose_dtype(config.models.dtype, device)
    components = load_components(profile_paths(kind, models), settings, device, dtype)
    compiler = compiler_for(components, settings)
    base = build_family(components, settings, counters, compiler=compiler)
    if compiler.on:
        compiler.start()
    if not models.checkpoints:
        return base

    def load(name: str) -> StableDiffusionFamily:
        with compiler.turns.alone():
            parts = load_checkpoint(name, models.checkpoints[name], components, settings)
        return build_family(parts, settings, counters, controlnets=base.controlnets, compiler=compiler)

    return CheckpointSwitch(
        base,
        models.checkpoints,
        load,
        max_loaded=config.models.max_loaded_checkpoints,
        release_device=TorchDevice(device).release,
    )


def build_family(
    components: Components,
    settings: StableDiffusionSettings,
    counters: Counters,
    *,
    controlnets: ControlNetPool | None = None,
    compiler: BlockCompiler | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> StableDiffusionFamily:
    """The family over loaded components.

    `controlnets` are another family's, of the same widths; without a `compiler` all runs eager; `clock` (seconds,
    rising) ages its cache.
    """
    device, compiler = components.device, compiler or BlockCompiler()
    # What is shared with another family was made int8 there.
    _quantise(components, settings.int8 if controlnets is None else {"unet"} & set(settings.int8))
    controlnets = controlnets or _load_controlnets(components, settings, compiler)
    adopt_blocks(components.unet, compiler, UNET)
    if not settings.offload:
        adopt_blocks(components.vae, compiler, "vae")
    loras = LoraSets(
        components,
        counters,
        max_bytes=settings.lora_max_bytes,
        fused=settings.fused_loras,
        compiled=compiler.on,
    )
    offload = ModelVisits(device, offload=settings.offload, turn=settings.visits_lock)
    unet = RowRunner(components.unet, compiler)
    return StableDiffusionFamily(
        components=components,
        controlnets=controlnets,
        loras=loras,
        preprocessor=Preprocessor(components, controlnets, loras, offload, settings, counters, clock),
        unet=unet,
        forward=BatchForward(unet, controlnets, counters),
        decoder=Decoder(components, offload, counters),
        compiler=compiler,
    )


def _load_controlnets(
    components: Components, settings: StableDiffusionSettings, compiler: BlockCompiler
) -> ControlNetPool:
    controlnets = ControlNetPool(
        components.paths.controlnets,
        max_loaded=settings.max_controlnets,
        device=components.device,
        dtype=components.dtype,
        int8="controlnets" in settings.int8,
        adopt=partial(adopt_blocks, compiler=compiler, name="controlnet"),
        loading=compiler.turns.alone,
    )
    if settings.preload_controlnets:
        controlnets.preload()
    return controlnets


def _quantise(components: Components, wanted: Collection[str]) -> None:
    """The parts that are there for good; ControlNets are, when they are loaded."""
    parts = {"image_encoder": components.image_encoder, "unet": components.unet}
    for name, module in parts.items():
        if name in wanted and module is not None:
            done = quantise(module, linear_only=name == "unet")
            logger.info(
                "%s: %.0f %% of its weights are int8, %.0f MB instead of %.0f",
                name,
                100 * done.share,
                done.bytes_after / 1e6,
                done.bytes_before / 1e6,
            )


def compiler_for(components: Components, settings: StableDiffusionSettings) -> BlockCompiler:
    """What compiles the blocks of the networks, knowing what earlier starts have learnt; off where that is asked for.

    What torch itself keeps of its work is kept beside that, unless the environment names a place for it.
    """
    if not settings.compile_blocks:
        return BlockCompiler()
    from torch._dynamo import lookup_backend

    learnt = None
    if settings.compiled_folder is not None:
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(settings.compiled_folder / "torch"))
        made_for = _made_for(components)
        name = hashlib.sha256(made_for["weights"].encode()).hexdigest()[:12]
        learnt = LearntCalls(settings.compiled_folder, name, made_for)
    return BlockCompiler(lookup_backend("inductor"), learnt=learnt, max_rows=settings.max_rows)


def _made_for(components: Components) -> dict[str, str]:
    device = components.device
    return {
        "weights": "/".join(components.paths.base.parts[-2:]),
        "torch": torch.__version__,
        "diffusers": importlib.metadata.version("diffusers"),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "dtype": str(components.dtype),
        "attention": components.attention,
    }
