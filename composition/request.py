"""What a user asks for: fetch -> decode -> **request** -> route.

What may be omitted is None or absent here; `composition.decision.EditPlan` is what runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from composition.images import Image, Mask


class PipelineChoice(StrEnum):
    AUTO = "auto"
    SIMPLE = "simple"
    COMPLEX = "complex"


ControlType: TypeAlias = str
"""The name of a control type: a key of `composition.controls.CONTROLS`."""


class OnNoDetection(StrEnum):
    FULL = "full"
    ERROR = "error"


class RefineMask(StrEnum):
    AUTO = "auto"
    ON = "on"
    OFF = "off"


class MaskMode(StrEnum):
    """Which side of the user's mask is repainted; `api.masks` has the reading, docs/api.md the definitions."""

    AUTO = "auto"
    LUMINANCE = "luminance"
    ALPHA = "alpha"
    INVERTED = "inverted"


class Crop(StrEnum):
    AUTO = "auto"
    OFF = "off"


class Speed(StrEnum):
    NORMAL = "normal"
    FAST = "fast"


class OutputFormat(StrEnum):
    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


@dataclass(frozen=True, kw_only=True)
class EditOptions:
    """The request's `config`. None means that the user left it to the service."""

    pipeline: PipelineChoice = PipelineChoice.AUTO
    force_controlnet: bool = False
    control_types: tuple[ControlType, ...] = ()
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    seed: int | None = None
    ip_adapter_scale: float | None = None
    controlnet_conditioning_scale: float | None = None
    target: str | None = None
    on_no_detection: OnNoDetection = OnNoDetection.FULL
    refine_mask: RefineMask = RefineMask.AUTO
    mask_mode: MaskMode = MaskMode.AUTO
    mask_dilation_px: int = 15
    mask_blur_px: int = 21
    strength: float | None = None
    crop: Crop = Crop.AUTO
    speed: Speed = Speed.NORMAL
    color_match: bool = True
    sharpen: bool = False
    output_format: OutputFormat = OutputFormat.PNG
    return_mask: bool = False
    loras: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class EditRequest:
    """One edit as the user asked for it, with decoded pictures; `notes` is what decoding has to say about them."""

    base: Image
    prompt: str
    negative_prompt: str | None = None
    references: tuple[Image, ...] = ()
    mask: Mask | None = None
    notes: tuple[str, ...] = ()
    options: EditOptions = field(default_factory=EditOptions)
