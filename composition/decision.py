"""What is decided about an edit: request + signals -> **decision, plan** -> detect, mask, condition, diffuse, blend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from composition.images import Detection
from composition.lora import LoraUse
from composition.request import ControlType, Crop, MaskFeather, OnNoDetection, Quality, Scheduler, Speed


class Pipeline(StrEnum):
    SIMPLE = "simple"
    COMPLEX = "complex"


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


class RegionSource(StrEnum):
    """What said where to repaint, in the order of precedence."""

    MASK_IMAGE = "mask_image"
    POINTS_AND_BOX = "points and box"
    POINTS = "points"
    BOX = "box"
    TARGET = "target"
    PROMPT = "prompt"

    @property
    def pointed_at(self) -> bool:
        """Whether somebody clicked or drew it, so that no target is looked for."""
        return self in (RegionSource.POINTS_AND_BOX, RegionSource.POINTS, RegionSource.BOX)


class ReferenceKind(StrEnum):
    """What a reference image shows, as CLIP classifies it."""

    GARMENT = "garment"
    ACCESSORY = "accessory"
    OBJECT = "object"
    TEXTURE = "texture"


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
        protected: what may not change, phrases like `phrase`; every instance of each is left out of the mask.
        rest: of a complement: it is everything but what is protected, whatever the main subject is.
    """

    phrase: str | None = None
    region: BodyRegion | None = None
    plural: bool = False
    complement: bool = False
    position: Position | None = None
    place: str | None = None
    protected: tuple[str, ...] = ()
    rest: bool = False


@dataclass(frozen=True, kw_only=True)
class Signals:
    """What the router knows beyond the words; an absent signal is an empty mapping or None.

    Attributes:
        objects: what YOLOX found in the base image.
        looked: whether it was asked; without need it is not.
        references: of each reference the probability (0..1) per kind of what it shows.
        prompt_structural: CLIP's probability that the prompt is about a body, a vehicle or furniture.
    """

    objects: tuple[Detection, ...] = ()
    looked: bool = False
    references: tuple[Mapping[ReferenceKind, float], ...] = ()
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
        inserts: something is added: the scene without it must not hold the painting (docs/adr/0006).
        removes: something is taken away: its own shape must not hold the painting (docs/adr/0006).
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
    inserts: bool = False
    removes: bool = False
    signals: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Window(NamedTuple):
    """From which to which share of the steps something acts."""

    start: float = 0.0
    end: float = 1.0


@dataclass(frozen=True, kw_only=True)
class EditPlan:
    """Everything the pipelines execute, with every default resolved: no field means "default".

    `guidance_scale`, `strength` and the scales are as diffusers defines them; `blend` (0..1) is how much of what is
    painted is laid over the photograph. `controls` holds the effective ControlNet scale per type (user's scale x the
    type's weight) of those that act: an image is drawn and sent for each of them, and for no other; they act in
    `control_window` of the steps, references in `ip_adapter_window`. `model` is a checkpoint, "" the base model.
    `seeds` has one for each candidate. `keep_light`, `keep_parts` and `drawn`: see `composition.imaging.keeping`;
    `keep_surroundings`: `composition.pipelines.matting`; `spares_front`: `composition.masking.occlusion`. `loras` has
    those that act.
    """

    decision: Decision
    prompt: str
    negative_prompt: str
    num_inference_steps: int
    guidance_scale: float
    guidance_rescale: float
    scheduler: Scheduler
    seeds: tuple[int, ...]
    strength: float
    blend: float
    ip_adapter_scale: float
    ip_adapter_window: Window
    ip_adapter_mask: bool
    control_window: Window
    controls: Mapping[ControlType, float]
    refine_mask: bool
    mask_dilation_px: int
    mask_blur_px: int
    mask_feather: MaskFeather
    on_no_detection: OnNoDetection
    crop: Crop
    crop_context: float
    speed: Speed
    quality: Quality
    color_match: bool
    sharpen: bool
    keep_light: bool
    keep_parts: bool
    drawn: bool
    keep_surroundings: bool
    spares_front: bool
    model: str
    loras: tuple[LoraUse, ...]
