"""What goes to the diffusion model and comes back: condition -> **diffuse** -> blend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from composition.images import Image, Mask
from composition.lora import LoraUse
from composition.request import ControlType, Quality, Scheduler, Speed


@dataclass(frozen=True, kw_only=True, eq=False)
class ControlInput:
    """One ControlNet's conditioning: `image` (H, W, 3) at model size, active between `start` and `end` of the steps."""

    image: Image
    scale: float
    start: float = 0.0
    end: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class DiffusionRequest:
    """One inpainting job for the diffusion model, at the model's own size (whole latent cells, already padded).

    `image` (H, W, 3) and `mask` (H, W, strictly 0/255, aligned to the latent grid). `deadline_s` is the time left
    when it is sent, in seconds. `previews` asks for TAESD previews in the progress events. `model` is a checkpoint of
    the configuration's allow-list; None is the base model. References act between `ip_adapter_start` and
    `ip_adapter_end` of the steps, with `ip_adapter_mask` inside the mask only. `traceparent` names the trace that it is
    part of, as in the W3C header; empty for none.
    """

    request_id: str
    image: Image
    mask: Mask
    prompt: str
    negative_prompt: str
    num_inference_steps: int
    guidance_scale: float
    seed: int
    strength: float = 1.0
    references: tuple[Image, ...] = ()
    ip_adapter_scale: float = 0.0
    controls: Mapping[ControlType, ControlInput] = field(default_factory=dict)
    loras: tuple[LoraUse, ...] = ()
    speed: Speed = Speed.NORMAL
    quality: Quality = Quality.EXACT
    scheduler: Scheduler = Scheduler.DPM_SOLVER
    guidance_rescale: float = 0.0
    ip_adapter_start: float = 0.0
    ip_adapter_end: float = 1.0
    ip_adapter_mask: bool = False
    model: str | None = None
    previews: bool = False
    deadline_s: float | None = None
    traceparent: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class DiffusionProgress:
    """`step` of `total` denoising steps is done; `preview` is a small RGB image or None."""

    step: int
    total: int
    preview: Image | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class DiffusionResult:
    """The terminal event: the model's image (H, W, 3), which models ran, and counters for `metadata.cache`.

    `notes` is what the caller should know, such as parts of a LoRA that found no place.
    """

    image: Image
    models_used: tuple[str, ...]
    cache: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
