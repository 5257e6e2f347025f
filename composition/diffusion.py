"""What goes to the diffusion model and comes back: condition -> **diffuse** -> blend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from composition.images import Image, Mask
from composition.lora import LoraUse
from composition.request import ControlType, Quality, Scheduler, Speed

NoiseCells: TypeAlias = npt.NDArray[np.uint8]
"""uint8 (h, w, 2): of each latent cell the row and column of the cell whose noise it has; `OWN_NOISE`: its own."""
OWN_NOISE: Final = 255
IP_ADAPTER: Final = "ip-adapter"
"""What the diffusion model calls the network that a reference image acts through, in `DiffusionResult.models_used`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ControlInput:
    """One ControlNet's conditioning: `image` (H, W, 3) at model size, active between `start` and `end` of the steps."""

    image: Image
    scale: float
    start: float = 0.0
    end: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceInput:
    """Reference images whose look is taken over all together, at `scale`, inside `mask` (H, W, 0/255) at model size.

    Without a mask they act everywhere. The images (H, W, 3) have any size.
    """

    images: tuple[Image, ...]
    scale: float
    mask: Mask | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionRequest:
    """What is painted in one region.

    `area` (H, W, strictly 0/255, whole latent cells) is where it counts what this region's text and references make of
    the image; None: everywhere. `controls` are at model size. What each of the `references` gives adds up.
    """

    prompt: str
    negative_prompt: str
    strength: float = 1.0
    references: tuple[ReferenceInput, ...] = ()
    controls: Mapping[ControlType, ControlInput] = field(default_factory=dict)
    area: Mask | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewRequest:
    """Another photograph of the same thing, with the mask and the control images that the first one has of its own.

    All of the first one's size. So is `noise_from`.
    """

    image: Image
    mask: Mask
    controls: Mapping[ControlType, ControlInput] = field(default_factory=dict)
    noise_from: NoiseCells | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class DiffusionRequest(RegionRequest):
    """One inpainting job for the diffusion model, at the model's own size (whole latent cells, already padded).

    `image` (H, W, 3) and `mask` (H, W, strictly 0/255, aligned to the latent grid), which holds every region. Regions
    `beside` its own are painted in the same denoising; the areas of all of them cover the image, none twice. Or there
    are other `views` of the thing, which are to get one look: the same noise, and what each has of the others.
    `deadline_s` is the time left when it is sent, in seconds. `previews` asks for TAESD previews in the progress
    events. `model` is a checkpoint of the configuration's allow-list; None is the base model. References act between
    `ip_adapter_start` and `ip_adapter_end` of the steps, with `ip_adapter_mask` inside the mask only. `traceparent`
    names the trace that it is part of, as in the W3C header; empty for none. With `noise_from` the noise is the seed's,
    whatever else is drawn, each cell's from where that says: so it goes along with what moves from frame to frame.
    """

    request_id: str
    image: Image
    mask: Mask
    num_inference_steps: int
    guidance_scale: float
    seed: int
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
    beside: tuple[RegionRequest, ...] = ()
    views: tuple[ViewRequest, ...] = ()
    noise_from: NoiseCells | None = None

    @property
    def regions(self) -> tuple[DiffusionRequest, ...]:
        """A request for each region or view, with nothing beside it; the only one of most is the request itself."""
        if self.views:
            alone = replace(self, views=())
            return (alone, *(replace(alone, **vars(view)) for view in self.views))
        if not self.beside:
            return (self,)
        alone = replace(self, beside=())
        return (alone, *(replace(alone, **_of_region(region)) for region in self.beside))


def _of_region(region: RegionRequest) -> dict[str, Any]:
    return {one.name: getattr(region, one.name) for one in fields(RegionRequest)}


@dataclass(frozen=True, kw_only=True, eq=False)
class DiffusionProgress:
    """`step` of `total` denoising steps is done; `preview` is a small RGB image or None."""

    step: int
    total: int
    preview: Image | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class DiffusionResult:
    """The terminal event: the model's image (H, W, 3), which models ran, and counters for `metadata.cache`.

    `others` are the images of the views beside the first. `notes` is what the caller should know, such as
    parts of a LoRA that found no place.
    """

    image: Image
    models_used: tuple[str, ...]
    cache: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    others: tuple[Image, ...] = ()

    @property
    def images(self) -> tuple[Image, ...]:
        """Of every view, in order; of most requests one."""
        return (self.image, *self.others)


def rows_of(views: int, guidance_scale: float) -> int:
    """Batch rows that so many views take together: with classifier-free guidance (a scale above 1) two each."""
    return views * (2 if guidance_scale > 1.0 else 1)
