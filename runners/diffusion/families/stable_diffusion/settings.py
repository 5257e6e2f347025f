"""How a family of Stable Diffusion is run, every switch resolved."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from composition.config import Config, ConfigError
from composition.places import storage_folder
from runners.visits import VISITS_LOCK

logger = logging.getLogger(__name__)

COMPILED = "compiled"
"""A folder of the storage folder."""


@dataclass(frozen=True, kw_only=True)
class StableDiffusionSettings:
    """What the engine does not need to know.

    Attributes:
        cache_ttl_s, cache_max_bytes: of the encodings; 0 bytes keeps none.
        max_controlnets: how many stay loaded, least recently used first out.
        preload_controlnets: load them at start instead of at first use.
        guidance_start, guidance_end: classifier-free guidance runs between these fractions of the steps, the rest at
            half the cost.
        lora_max_bytes: of one checkpoint's sets of LoRAs that stay ready, least recently used first out.
        fused_loras: a set has copies of the weights that it changes instead of adapters on them.
        offload: keep on the CPU what a denoising step does not need.
        visits_lock: the file whose lock it holds while it visits the GPU, as the perception models do.
        int8: what is held as 8-bit weights: controlnets, image_encoder, unet (its linear layers).
        compile_blocks: torch.compile for the calls that come often.
        max_rows: of a batch, which what is compiled must hold for.
        compiled_folder: where what came is kept between starts; None: nowhere.
    """

    cache_ttl_s: float = 300.0
    cache_max_bytes: int = 256 << 20
    max_controlnets: int = 2
    preload_controlnets: bool = False
    lora_max_bytes: int = 1 << 30
    fused_loras: bool = False
    guidance_start: float = 0.0
    guidance_end: float = 1.0
    offload: bool = False
    visits_lock: Path | None = None
    int8: tuple[str, ...] = ()
    use_xformers: bool = True
    compile_blocks: bool = False
    max_rows: int = 16
    compiled_folder: Path | None = None
    safety_checker: bool = True

    @classmethod
    def from_config(cls, config: Config, *, on_cuda: bool, no_compiler: str | None = None) -> StableDiffusionSettings:
        """The service's configuration as this family needs it.

        On CUDA "auto" means on where nothing is missing for it (`no_compiler` says what).

        Raises: ConfigError when compiling is asked for and cannot be done, or fusing into weights that are int8.
        """
        generation, optimization = config.generation, config.optimization
        if config.loras.fused and "unet" in optimization.int8:
            raise ConfigError("loras.fused: LoRAs cannot be fused into int8: leave unet out of optimization.int8")
        offload = optimization.offloads and on_cuda
        return cls(
            cache_ttl_s=optimization.cache_ttl_seconds,
            cache_max_bytes=(optimization.cache_max_mb << 20) if optimization.cache_preprocessors else 0,
            max_controlnets=config.models.controlnet.max_loaded,
            preload_controlnets=not config.models.controlnet.load_on_demand,
            lora_max_bytes=config.loras.max_loaded_mb << 20,
            fused_loras=config.loras.fused,
            guidance_start=generation.guidance_start,
            guidance_end=generation.guidance_end,
            offload=offload,
            visits_lock=storage_folder(config.storage) / VISITS_LOCK if offload else None,
            int8=optimization.int8,
            use_xformers=generation.enable_xformers,
            compile_blocks=_compiles(generation.enable_torch_compile, on_cuda=on_cuda, no_compiler=no_compiler),
            max_rows=generation.rows,
            compiled_folder=storage_folder(config.storage) / COMPILED,
            safety_checker=config.models.safety_checker,
        )

    def shared_by(self, checkpoints: int) -> StableDiffusionSettings:
        """For each of as many as may be loaded at once: they have sets of LoRAs of their own, under one limit."""
        return replace(self, lora_max_bytes=self.lora_max_bytes // checkpoints)


def _compiles(wanted: bool | str, *, on_cuda: bool, no_compiler: str | None) -> bool:
    if wanted == "auto":
        if on_cuda and no_compiler:
            logger.warning("generation.enable_torch_compile: everything runs eager, since %s", no_compiler)
        return on_cuda and no_compiler is None
    if wanted and on_cuda and no_compiler:
        raise ConfigError(f"generation.enable_torch_compile: {no_compiler}; set it to auto or false")
    return bool(wanted)
