"""Values that flow through the service: fetch -> decode -> route -> detect -> mask -> condition -> diffuse -> blend.

One pixel convention everywhere: images are RGB uint8 (H, W, 3); masks are uint8 (H, W), 255 = repaint.
All dataclasses are frozen and keyword-only. What a user may omit is `EditRequest`; what runs is `EditPlan`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Image: TypeAlias = npt.NDArray[np.uint8]
"""RGB uint8, shape (H, W, 3)."""
Mask: TypeAlias = npt.NDArray[np.uint8]
"""uint8, shape (H, W); 255 = repaint, 0 = keep; values between are feathering."""
DepthMap: TypeAlias = npt.NDArray[np.uint8]
"""uint8, shape (H, W); 255 = nearest."""


class Pipeline(StrEnum):
    SIMPLE = "simple"
    COMPLEX = "complex"


class PipelineChoice(StrEnum):
    AUTO = "auto"
    SIMPLE = "simple"
    COMPLEX = "complex"


class ControlType(StrEnum):
    POSE = "pose"
    DEPTH = "depth"


class BodyRegion(StrEnum):
    """The part of the body that a worn thing covers."""

    UPPER = "upper"
    LOWER = "lower"
    FULL = "full"
    FEET = "feet"
    HEAD = "head"
    EYES = "eyes"
    NECK = "neck"


class Position(StrEnum):
    """Which of several instances a prompt names."""

    LEFT = "left"
    MIDDLE = "middle"
    RIGHT = "right"


class ReferenceKind(StrEnum):
    """What a reference picture shows, as CLIP classifies it."""

    GARMENT = "garment"
    ACCESSORY = "accessory"
    OBJECT = "object"
    TEXTURE = "texture"


class OnNoDetection(StrEnum):
    FULL = "full"
    ERROR = "error"


class RefineMask(StrEnum):
    AUTO = "auto"
    ON = "on"
    OFF = "off"


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
class Box:
    """An axis-aligned box in pixels of the decoded image, x right, y down; x1 and y1 are exclusive."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def area(self) -> float:
        """Square pixels; 0 for an inverted box."""
        return max(0.0, self.x1 - self.x0) * max(0.0, self.y1 - self.y0)


@dataclass(frozen=True, kw_only=True)
class Detection:
    """One instance that a detector found; `score` in 0..1."""

    label: str
    score: float
    box: Box


@dataclass(frozen=True, kw_only=True, eq=False)
class Pose:
    """One person's keypoints; every array is float32 (N, 3) with columns x px, y px, score 0..1.

    `body` has the 18 OpenPose points (nose, neck, right shoulder, elbow, wrist, left shoulder, elbow, wrist,
    right hip, knee, ankle, left hip, knee, ankle, right eye, left eye, right ear, left ear).
    """

    body: npt.NDArray[np.float32]
    feet: npt.NDArray[np.float32]
    face: npt.NDArray[np.float32]
    left_hand: npt.NDArray[np.float32]
    right_hand: npt.NDArray[np.float32]


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
    """One edit as the user asked for it, with decoded pictures."""

    base: Image
    prompt: str
    negative_prompt: str | None = None
    references: tuple[Image, ...] = ()
    mask: Mask | None = None
    options: EditOptions = field(default_factory=EditOptions)


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where to repaint. All empty: nothing is named, the whole image is repainted.

    Attributes:
        phrase: what GroundingDINO looks for, a bare noun phrase ("rims", "front door").
        region: the part of the body that a worn thing covers, instead of or beside `phrase`.
        plural: every instance that is found, not only the best one.
        complement: everything but the main subject; `phrase` is then only the word for it ("background").
        position: which of several instances.
        place: where something is inserted ("corner", "table"); the mask is made around it.
    """

    phrase: str | None = None
    region: BodyRegion | None = None
    plural: bool = False
    complement: bool = False
    position: Position | None = None
    place: str | None = None


@dataclass(frozen=True, kw_only=True)
class Signals:
    """What the router knows beyond the words; an absent signal is an empty mapping or None.

    Attributes:
        objects: what YOLOX found in the base image.
        reference: probability (0..1) per kind of what the reference shows; empty without a reference.
        prompt_structural: CLIP's probability that the prompt is about a body, a vehicle or furniture.
    """

    objects: tuple[Detection, ...] = ()
    reference: Mapping[ReferenceKind, float] = field(default_factory=dict)
    prompt_structural: float | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the router decided.

    Attributes:
        rule: the name of the rule that matched (forced, requested, try_on, human, clothing_reference,
            appearance, structural_object, structural_clip, default).
        reason: the same in plain words, for the response.
        controls: weight per control type; empty for the simple pipeline.
        generation_prompt: what the diffusion model is told.
        negative_terms: words that the edit itself puts into the negative prompt (the removed thing).
        keeps_shape: an appearance edit: only colour or material changes.
        recolour: only the colour changes (the photograph's own detail may be kept).
        signals: every signal looked at, with its score, JSON-serialisable.
    """

    pipeline: Pipeline
    rule: str
    reason: str
    target: Target
    generation_prompt: str
    controls: Mapping[ControlType, float] = field(default_factory=dict)
    negative_terms: tuple[str, ...] = ()
    keeps_shape: bool = False
    recolour: bool = False
    signals: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EditPlan:
    """Everything the pipelines execute, with every default resolved: no field means "default".

    `guidance_scale`, `strength` and the scales are as diffusers defines them. `controls` holds the effective
    ControlNet scale per type (user's scale x the type's weight).
    """

    decision: Decision
    prompt: str
    negative_prompt: str
    num_inference_steps: int
    guidance_scale: float
    seed: int
    strength: float
    ip_adapter_scale: float
    controls: Mapping[ControlType, float]
    refine_mask: bool
    mask_dilation_px: int
    mask_blur_px: int
    on_no_detection: OnNoDetection
    crop: Crop
    speed: Speed
    color_match: bool
    sharpen: bool
    keep_detail: bool
    loras: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class ControlInput:
    """One ControlNet's conditioning: `image` (H, W, 3) at model size, active between `start` and `end` of the steps."""

    image: Image
    scale: float
    start: float = 0.0
    end: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class DiffusionRequest:
    """One inpainting job for the diffusion model, at the model's own size (multiples of 8 px, already padded).

    `image` (H, W, 3) and `mask` (H, W, strictly 0/255, aligned to the latent grid). `deadline_s` is the time left
    when it is sent, in seconds. `previews` asks for TAESD previews in the progress events.
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
    loras: Mapping[str, float] = field(default_factory=dict)
    speed: Speed = Speed.NORMAL
    previews: bool = False
    deadline_s: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class DiffusionProgress:
    """`step` of `total` denoising steps is done; `preview` is a small RGB image or None."""

    step: int
    total: int
    preview: Image | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class DiffusionResult:
    """The terminal event: the model's picture (H, W, 3), which models ran, and counters for `metadata.cache`."""

    image: Image
    models_used: tuple[str, ...]
    cache: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Progress:
    """How far an edit is: `stage` is one of the flow's verbs, `fraction` in 0..1 never falls within an attempt."""

    stage: str
    fraction: float
    step: int | None = None
    total_steps: int | None = None
    preview: Image | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class EditResult:
    """An edited picture with its account; `metadata` is JSON-serialisable and becomes `result.metadata`."""

    image: Image
    mask: Mask
    pipeline: Pipeline
    models_used: tuple[str, ...]
    processing_time_ms: int
    metadata: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Analysis:
    """A dry run's outcome: what would be repainted, and why, without diffusion."""

    decision: Decision
    detections: tuple[Detection, ...]
    mask: Mask
    models_used: tuple[str, ...]
    metadata: Mapping[str, Any]
