"""Puts a family together over loaded components."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from operator import call
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
from runners.diffusion.families.stable_diffusion.compilation import ROW_COUNTS, RowRunner, warm_up_in_background
from runners.diffusion.families.stable_diffusion.components import Components, load_components
from runners.diffusion.families.stable_diffusion.controlnets import ControlNetPool
from runners.diffusion.families.stable_diffusion.decoding import Decoder
from runners.diffusion.families.stable_diffusion.family import StableDiffusionFamily
from runners.diffusion.families.stable_diffusion.forward import BatchForward
from runners.diffusion.families.stable_diffusion.kind import PipelineKind
from runners.diffusion.families.stable_diffusion.loras import LoraSets
from runners.diffusion.families.stable_diffusion.paths import profile_paths
from runners.diffusion.families.stable_diffusion.preprocess import Preprocessor
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from runners.diffusion.families.stable_diffusion.text import TEXT
from runners.diffusion.torch_device import TorchDevice
from runners.int8 import quantise
from runners.visits import ModelVisits

logger = logging.getLogger(__name__)


def load_kind(
    kind: PipelineKind, config: Config, models: ModelSet, device: torch.device, counters: Counters
) -> Family[Any]:
    """The family of a configuration's profile, with the checkpoints that requests may name beside the base model.

    Their UNets run eager: a graph is compiled for one set of weights in memory, and these come and go.
    Raises: as `load_components`, and ModelsNotImported.
    """
    settings = StableDiffusionSettings.from_config(
        config,
        on_cuda=device.type == "cuda",
        native_size=models.native_size,
        no_compiler=reason_not_to_compile(),
    )
    settings = settings.shared_by(1 + min(config.models.max_loaded_checkpoints, len(models.checkpoints)))
    dtype = choose_dtype(config.models.dtype, device)
    components = load_components(profile_paths(kind, models), settings, device, dtype)
    base = build_family(components, settings, counters, warm_up=warm_up_in_background)
    if not models.checkpoints:
        return base
    own = replace(settings, compile_unet=False)

    def load(name: str) -> StableDiffusionFamily:
        parts = load_checkpoint(name, models.checkpoints[name], components, own)
        return build_family(parts, own, counters, controlnets=base.controlnets)

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
    warm_up: Callable[[Callable[[], None]], None] = call,
    clock: Callable[[], float] = time.monotonic,
) -> StableDiffusionFamily:
    """The family over loaded components.

    `controlnets` are another family's, of the same widths; `warm_up` is given what compiles the UNet, if it is to be;
    `clock` (seconds, rising) ages its cache.
    """
    device = components.device
    # What is shared with another family was made int8 there.
    _quantise(components, settings.int8 if controlnets is None else {"unet"} & set(settings.int8))
    controlnets = controlnets or _load_controlnets(components, settings)
    loras = LoraSets(components, counters, max_bytes=settings.lora_max_bytes, fused=settings.fused_loras)
    offload = ModelVisits(device, offload=settings.offload, turn=settings.visits_lock)
    unet = _build_runner(components, controlnets, settings, warm_up)
    return StableDiffusionFamily(
        components=components,
        controlnets=controlnets,
        loras=loras,
        preprocessor=Preprocessor(components, controlnets, loras, offload, settings, counters, clock),
        unet=unet,
        forward=BatchForward(unet, controlnets, counters),
        decoder=Decoder(components, offload, counters),
    )


def _load_controlnets(components: Components, settings: StableDiffusionSettings) -> ControlNetPool:
    controlnets = ControlNetPool(
        components.paths.controlnets,
        max_loaded=settings.max_controlnets,
        device=components.device,
        dtype=components.dtype,
        int8="controlnets" in settings.int8,
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


def _build_runner(
    components: Components,
    controlnets: ControlNetPool,
    settings: StableDiffusionSettings,
    warm_up: Callable[[Callable[[], None]], None],
) -> RowRunner:
    unet, config = components.unet, components.unet.config
    reference_shape = None
    if components.reference_projection is not None:
        reference_shape = (_reference_tokens(components.reference_projection), config.cross_attention_dim)
    compile_with: Callable[[Any], Callable[..., Any]] | None = None
    if settings.compile_unet:
        compile_with = compile_for_warm_up
    runner = RowRunner(unet, compile_with=compile_with, max_rows=settings.warm_rows, reference_shape=reference_shape)
    if settings.compile_unet:
        side = settings.native_size // components.latent_scale

        def compile_shapes() -> None:
            # A graph compiled for ordinary tensors does not serve inference-mode ones: both must be made in here.
            with torch.inference_mode():
                sample = torch.zeros(1, config.in_channels, side, side).to(components.device, components.dtype)
                conditioning = {TEXT: sample.new_zeros(1, 77, config.cross_attention_dim)}
                added = components.text.added_widths
                conditioning |= {name: sample.new_zeros(1, width) for name, width in added.items()}
                runner.warm_up(sample, conditioning, _residuals(unet, sample, controlnets))

        warm_up(compile_shapes)
    return runner


def compile_for_warm_up(unet: Any) -> Callable[..., Any]:
    """One graph per shape that comes while warming up.

    torch would go over to a slower graph of variable shape at the second one, and to eager execution after the eighth.
    """
    import torch._dynamo.config

    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 2 * len(ROW_COUNTS) + 2)
    compiled: Callable[..., Any] = torch.compile(unet, dynamic=False)
    return compiled


def _reference_tokens(projection: Any) -> int:
    layer = projection.image_projection_layers[0]
    if hasattr(layer, "num_image_text_embeds"):
        return int(layer.num_image_text_embeds)
    return int(layer.latents.shape[1])


def _residuals(unet: Any, sample: torch.Tensor, controlnets: ControlNetPool) -> Callable[[int], Any] | None:
    """Zeros of the shapes that the UNet's skip connections and middle block have, for a number of rows."""
    if not controlnets.available:
        return None
    rows, _, height, width = sample.shape
    channels = unet.config.block_out_channels
    shapes = [(channels[0], height, width)]
    for level, width_out in enumerate(channels):
        shapes += [(width_out, height >> level, width >> level)] * unet.config.layers_per_block
        if level < len(channels) - 1:
            shapes.append((width_out, height >> (level + 1), width >> (level + 1)))
    assert rows == 1

    def zeros(count: int) -> tuple[list[torch.Tensor], torch.Tensor]:
        down = [sample.new_zeros((count, *shape)) for shape in shapes]
        return down, sample.new_zeros((count, *shapes[-1]))

    return zeros
