"""Puts the engine together from local model folders."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.requests import RequestRegistry
from runners.diffusion.engine.row_budget import RowBudget
from runners.diffusion.engine.side_work import InlineSideWork, ThreadSideWork
from runners.diffusion.engine.step_engine import EngineParts, StepEngine
from runners.diffusion.engine.stepping import Stepper
from runners.diffusion.families.sd15.compilation import ROW_COUNTS, RowRunner
from runners.diffusion.families.sd15.components import Components, load_components
from runners.diffusion.families.sd15.controlnets import ControlNetPool
from runners.diffusion.families.sd15.decoding import Decoder
from runners.diffusion.families.sd15.forward import BatchForward
from runners.diffusion.families.sd15.loras import LoraSwitch
from runners.diffusion.families.sd15.offload import ModelOffload
from runners.diffusion.families.sd15.preprocess import Preprocessor
from runners.diffusion.families.sd15.state import RequestState
from runners.diffusion.settings import DiffusionPaths, DiffusionSettings


def build_engine(
    paths: DiffusionPaths,
    settings: DiffusionSettings,
    device: torch.device,
    dtype: torch.dtype,
    on_device_lost: Callable[[], None],
) -> StepEngine:
    """Load the models and start the engine; `on_device_lost` as for `StepEngine`.

    Raises:
        OSError, ValueError: a folder lacks what it should have.
    """
    components = load_components(paths, settings, device, dtype)
    return StepEngine(assemble_parts(components, settings), on_device_lost)


def assemble_parts(
    components: Components,
    settings: DiffusionSettings,
    *,
    clock: Callable[[], float] = time.monotonic,
    own_thread_for_side_work: bool | None = None,
) -> EngineParts:
    """Build an engine's parts over loaded components.

    Args:
        components: the models.
        settings: limits and switches.
        clock: seconds, rising.
        own_thread_for_side_work: encode and decode beside the denoising loop; None means on CUDA only.
    """
    device, dtype, counters = components.device, components.dtype, Counters()
    controlnets = ControlNetPool(
        components.paths.controlnets, max_loaded=settings.max_controlnets, device=device, dtype=dtype
    )
    if settings.preload_controlnets:
        controlnets.preload()
    loras, offload = LoraSwitch(components), ModelOffload(device, offload=settings.offload)
    preprocessor = Preprocessor(components, controlnets, loras, offload, settings, counters, clock)
    runner = _build_runner(components, controlnets, loras, settings)
    budget = RowBudget(settings.max_rows, lambda: _free_bytes(device))

    def release_memory() -> None:
        preprocessor.drop_caches()
        controlnets.drop_all()

    stepper = Stepper(
        BatchForward(runner, controlnets, counters),
        runner,
        loras,
        budget,
        counters,
        device,
        release_memory=release_memory,
    )
    threaded = device.type == "cuda" if own_thread_for_side_work is None else own_thread_for_side_work
    registry: RequestRegistry[RequestState] = RequestRegistry(
        lease_s=settings.lease_s, timeout_s=settings.timeout_s, clock=clock, counters=counters
    )
    return EngineParts(
        preprocessor=preprocessor,
        stepper=stepper,
        decoder=Decoder(components, offload, counters),
        registry=registry,
        side_work=ThreadSideWork() if threaded else InlineSideWork(),
        budget=budget,
        controlnets=controlnets,
        loras=loras,
        counters=counters,
        names=components.names,
        release_memory=release_memory,
    )


def _free_bytes(device: torch.device) -> int | None:
    """What a forward may still take: free on the GPU plus what torch holds unused; None on a CPU."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def _build_runner(
    components: Components, controlnets: ControlNetPool, loras: LoraSwitch, settings: DiffusionSettings
) -> RowRunner:
    unet, config = components.unet, components.unet.config
    reference_shape = None
    if components.reference_projection is not None:
        reference_shape = (_reference_tokens(components.reference_projection), config.cross_attention_dim)
    compile_with: Callable[[Any], Callable[..., Any]] | None = None
    if settings.compile_unet:
        loras.load_all()
        compile_with = compile_for_warm_up
    runner = RowRunner(unet, compile_with=compile_with, max_rows=settings.max_rows, reference_shape=reference_shape)
    if settings.compile_unet:
        side = settings.native_size // components.latent_scale
        # A graph compiled for ordinary tensors does not serve inference-mode ones: both must be made in here.
        with torch.inference_mode():
            sample = torch.zeros(1, config.in_channels, side, side).to(components.device, components.dtype)
            text = torch.zeros(1, 77, config.cross_attention_dim).to(components.device, components.dtype)
            runner.warm_up(sample, {"encoder_hidden_states": text}, _residuals(unet, sample, controlnets))
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
