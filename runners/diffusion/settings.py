"""What the diffusion runner is told at start: local paths of its models, and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from composition.config import Config
from composition.request import ControlType

IP_ADAPTER_FILES: Mapping[str, str] = {
    "sd15": "ip-adapter_sd15.safetensors",
    "sd15-plus": "ip-adapter-plus_sd15.safetensors",
}
"""Weight file per variant, as in the h94/IP-Adapter repository's `models` folder."""


@dataclass(frozen=True, kw_only=True)
class DiffusionPaths:
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


@dataclass(frozen=True, kw_only=True)
class DiffusionSettings:
    """Limits and switches, every one resolved.

    Attributes:
        max_rows: batch rows per forward at most (a guided request takes two); less when memory is short.
        lease_s: a request nobody renews for so long is cancelled.
        timeout_s: the longest a request may take, whatever its own deadline says.
        cache_ttl_s, cache_max_bytes: of the encodings; 0 bytes keeps none.
        max_controlnets: how many stay loaded, least recently used first out.
        preload_controlnets: load them at start instead of at first use.
        guidance_end: classifier-free guidance runs for this fraction of the steps, the rest at half the cost.
        offload: keep on the CPU what a denoising step does not need.
        compile_unet: torch.compile for the warmed-up shapes.
        native_size: the picture size in pixels that is warmed up.
    """

    max_rows: int = 16
    lease_s: float = 15.0
    timeout_s: float = 120.0
    cache_ttl_s: float = 300.0
    cache_max_bytes: int = 256 << 20
    max_controlnets: int = 2
    preload_controlnets: bool = False
    guidance_end: float = 1.0
    offload: bool = False
    use_xformers: bool = True
    compile_unet: bool = False
    safety_checker: bool = True
    native_size: int = 512

    @classmethod
    def from_config(cls, config: Config, *, on_cuda: bool, native_size: int) -> DiffusionSettings:
        """The service's configuration as this runner needs it.

        Args:
            config: the whole tree.
            on_cuda: whether the models run on CUDA; decides what "auto" means.
            native_size: the profile's picture size in pixels, for when the configuration names none.
        """
        generation, optimization = config.generation, config.optimization
        compile_unet = generation.enable_torch_compile
        return cls(
            max_rows=generation.max_rows,
            lease_s=config.queue.lease_s,
            timeout_s=config.limits.request_timeout_seconds,
            cache_ttl_s=optimization.cache_ttl_seconds,
            cache_max_bytes=(optimization.cache_max_mb << 20) if optimization.cache_preprocessors else 0,
            max_controlnets=config.models.controlnet.max_loaded,
            preload_controlnets=not config.models.controlnet.load_on_demand,
            guidance_end=generation.guidance_end,
            offload=optimization.enable_model_offload and on_cuda,
            use_xformers=generation.enable_xformers,
            compile_unet=on_cuda if compile_unet == "auto" else bool(compile_unet),
            safety_checker=config.models.safety_checker,
            native_size=generation.native_size or native_size,
        )
