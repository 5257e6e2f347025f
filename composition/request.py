"""What a user asks for: fetch -> decode -> **request** -> route.

What may be omitted is None or absent here; `composition.decision.EditPlan` is what runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from enum import StrEnum
from types import UnionType
from typing import Any, Final, TypeAlias, get_args, get_type_hints

from composition.images import Box, Image, Mask
from composition.lora import LoraUse
from composition.marks import Mark, Point


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


class MaskFeather(StrEnum):
    IN = "in"
    OUT = "out"


class Crop(StrEnum):
    AUTO = "auto"
    OFF = "off"


class Speed(StrEnum):
    NORMAL = "normal"
    FAST = "fast"
    TURBO = "turbo"


class Quality(StrEnum):
    """How much of each step is computed anew; docs/performance.md says what that costs and saves."""

    EXACT = "exact"
    BALANCED = "balanced"
    DRAFT = "draft"


class Scheduler(StrEnum):
    """How latents are stepped, by diffusers' names; `speed` fast has one of its own."""

    DPM_SOLVER = "DPMSolverMultistep"
    DPM_SOLVER_KARRAS = "DPMSolverMultistepKarras"
    UNIPC = "UniPCMultistep"


class Keep(StrEnum):
    """Whether what the model need not have painted stays as photographed."""

    AUTO = "auto"
    OFF = "off"


class Oversize(StrEnum):
    """What becomes of a photo above `limits.max_resolution`."""

    REFUSE = "refuse"
    DOWNSCALE = "downscale"


class OutputFormat(StrEnum):
    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


class VideoOutput(StrEnum):
    """The file that an edited clip becomes; `png_sequence` is a zip of its frames, the others are containers."""

    GIF = "gif"
    WEBP = "webp"
    MP4 = "mp4"
    WEBM = "webm"
    PNG_SEQUENCE = "png_sequence"


class ResponseFormat(StrEnum):
    """How an edit's images are delivered: in the answer, behind a URL, or as the answer itself."""

    JSON = "json"
    URL = "url"
    BINARY = "binary"


MAX_SEED = 2**32 - 1
RANDOM_SEED = -1
MAX_CANDIDATES = 8
MAX_REFERENCES = 4
MAX_EDITS = 16
"""That a request may ever name; `generation.max_edits` may allow fewer."""
MIN_VIEWS, MAX_VIEWS = 2, 8
MAX_POINTS = 32


def option(
    default: Any = None,
    *,
    description: str,
    default_factory: Callable[[], Any] | None = None,
    usual: Any = None,
    ge: float | None = None,
    le: float | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
) -> Any:
    """A field of `EditOptions`, with what schema and documentation say of it.

    Args:
        default: its value where the user says nothing; None leaves it to the service.
        description: one sentence for the caller.
        default_factory: makes a default that can be changed.
        usual: what a default of None comes to in an ordinary edit, where that is one value.
        ge: the least number.
        le: the greatest number.
        min_length: the least number of characters or entries.
        max_length: the greatest number of characters or entries.
    """
    bounds = {"ge": ge, "le": le, "min_length": min_length, "max_length": max_length}
    said = default if usual is None else usual
    metadata = {
        "description": description,
        "default": None if said == () else said,
        "bounds": {name: bound for name, bound in bounds.items() if bound is not None},
    }
    if default_factory is not None:
        return field(default_factory=default_factory, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class EditOptions:
    """The request's `config`. None means that the user left it to the service.

    Each option is defined here and nowhere else: the API's schema is made from these fields, and docs/api.md is tested
    against them.
    """

    pipeline: PipelineChoice = option(PipelineChoice.AUTO, description="auto lets the router choose.")
    force_controlnet: bool = option(False, description="Take the complex pipeline, whatever the router says.")
    control_types: tuple[ControlType, ...] = option(
        (), max_length=16, description="ControlNets to use; an empty list counts as absent."
    )
    num_inference_steps: int | None = option(usual=25, ge=1, le=100, description="Denoising steps.")
    guidance_scale: float | None = option(
        usual=7.5, ge=1.0, le=20.0, description="How strictly the prompt is followed."
    )
    guidance_rescale: float = option(
        0.0, ge=0.0, le=1.0, description="How much of the contrast that guidance adds is taken back."
    )
    scheduler: Scheduler | None = option(
        usual=Scheduler.DPM_SOLVER, description="How latents are stepped; absent: as the service is configured."
    )
    seed: int | None = option(ge=RANDOM_SEED, le=MAX_SEED, description="-1 or absent: random.")
    ip_adapter_scale: float = option(0.6, ge=0.0, le=1.0, description="Weight of the reference image.")
    ip_adapter_start: float = option(
        0.0, ge=0.0, le=1.0, description="Share of the steps after which the reference image begins to act."
    )
    ip_adapter_end: float = option(
        1.0, ge=0.0, le=1.0, description="Share of the steps after which the reference image acts no more."
    )
    ip_adapter_mask: bool = option(False, description="The reference image acts inside the mask only.")
    controlnet_conditioning_scale: float = option(
        1.0, ge=0.0, le=2.0, description="Factor on the weight of each control type."
    )
    control_guidance_start: float = option(
        0.0, ge=0.0, le=1.0, description="Share of the steps after which structure control begins."
    )
    control_guidance_end: float = option(
        1.0, ge=0.0, le=1.0, description="Share of the steps after which structure control ends."
    )
    target: str | None = option(
        min_length=1, max_length=200, description="What to repaint, instead of what is read from the prompt."
    )
    points: tuple[Point, ...] = option(
        (),
        max_length=MAX_POINTS,
        description="What was clicked, [x, y] or [x, y, label] in pixels of the photo: SAM finds the thing that the "
        "points of label 1 (the default) are on and those of label 0 are not.",
    )
    box: Box | None = option(
        description="[x0, y0, x1, y1] in pixels of the photo, x1 and y1 exclusive: SAM finds the thing in it."
    )
    on_no_detection: OnNoDetection = option(
        OnNoDetection.FULL, description="full repaints everything, with a warning; error answers 422 NO_DETECTION."
    )
    refine_mask: RefineMask = option(RefineMask.AUTO, description="Refine boxes to silhouettes with SAM.")
    mask_mode: MaskMode = option(
        MaskMode.AUTO,
        description="Which side of `mask_image` is repainted: luminance: light; alpha: transparent; inverted: dark, or "
        "opaque where there is transparency; auto: what can mean only one thing, said in `warnings`.",
    )
    mask_dilation_px: int = option(15, ge=0, le=64, description="In pixels of a 512-pixel image.")
    mask_blur_px: int = option(21, ge=0, le=63, description="In pixels of a 512-pixel image.")
    mask_feather: MaskFeather = option(
        MaskFeather.IN,
        description="Where the mask's soft rim lies: in: inside of it, nothing outside changes; out: around it.",
    )
    strength: float | None = option(
        ge=0.1, le=1.0, description="How far the region may depart from the original; absent: by rule."
    )
    blend: float = option(
        1.0, ge=0.0, le=1.0, description="How much of what was painted is laid over the photo: 0 leaves it as it was."
    )
    crop: Crop = option(Crop.AUTO, description="auto repaints small regions at higher resolution.")
    crop_context: float | None = option(
        usual=2.0,
        ge=1.0,
        le=8.0,
        description="How many times as long as the mask the crop is that a small region is painted from.",
    )
    speed: Speed = option(Speed.NORMAL, description="fast takes few steps (LCM), turbo fewer (TCD), without guidance.")
    quality: Quality = option(
        Quality.EXACT,
        description="How much of the computation is saved: exact none of it; balanced reuses some from step to step; "
        "draft most, for a first look.",
    )
    color_match: bool = option(True, description="Undo the model's colour shift inside the region.")
    keep_parts: Keep = option(
        Keep.AUTO,
        description="auto: when a thing changes colour, parts of another material (windows, tyres) keep their look; "
        "off: all of it takes the new one.",
    )
    keep_surroundings: Keep = option(
        Keep.AUTO,
        description="auto: when a thing is replaced in its box, only what the old and the new thing cover changes; "
        "off: all of the box does.",
    )
    occlusion: Keep = option(
        Keep.AUTO,
        description="auto: what stands in front of the thing, in its box or in a mask of yours, stays as it is; "
        "off: it is repainted, too.",
    )
    sharpen: bool = option(False, description="Light unsharp mask inside the region.")
    output_format: OutputFormat = option(
        OutputFormat.PNG, description="png and webp are lossless, jpeg has quality 95."
    )
    output_quality: int | None = option(
        ge=1,
        le=100,
        description="Of jpeg (95 otherwise) and webp, which is lossless without it; smaller files below, png has none.",
    )
    return_mask: bool = option(False, description="Add `result.mask`, a greyscale PNG.")
    embed_metadata: bool = option(
        False, description="Write the edit's parameters and its IPTC digital source type into the image file."
    )
    oversize: Oversize = option(
        Oversize.REFUSE,
        description="downscale takes a photo above limits.max_resolution and answers at the reduced size.",
    )
    model: str | None = option(
        min_length=1,
        max_length=64,
        description="A checkpoint of the service's list to paint with; absent: the base model.",
    )
    loras: Mapping[str, float] = option(
        default_factory=dict,
        max_length=5,
        description="LoRAs and embeddings by name, yours or the operator's, with weights -2..2 (GET /api/v1/loras).",
    )

    @property
    def asks_for_structure(self) -> bool:
        """Whether the user, not the router, wants structure control."""
        return bool(self.control_types) or self.force_controlnet or self.pipeline is PipelineChoice.COMPLEX

    @property
    def mark(self) -> Mark | None:
        """What was clicked or drawn."""
        return Mark(points=self.points, box=self.box) if self.points or self.box is not None else None


@dataclass(frozen=True, kw_only=True)
class Option:
    """What is known of one option.

    Attributes:
        name: its key in the request's `config`.
        type: of its value, without None.
        default: what a user who says nothing gets in an ordinary edit; None for nothing, or where the service decides.
        bounds: `ge`, `le`, `min_length` and `max_length`, as far as there are any.
        description: one sentence for the caller.
    """

    name: str
    type: Any
    default: Any
    bounds: Mapping[str, Any]
    description: str


def _described(field_: Field[Any], annotation: Any) -> Option:
    alternatives = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return Option(name=field_.name, type=alternatives[0], **field_.metadata)


_HINTS = get_type_hints(EditOptions)
OPTIONS: Final[Mapping[str, Option]] = {
    field_.name: _described(field_, _HINTS[field_.name]) for field_ in fields(EditOptions)
}
"""Every option of a request, by its name, in the order of the documentation."""


OF_EACH_EDIT: Final = ("target", "strength", "blend", "control_types", "ip_adapter_scale")
"""Options that each of several edits may have of its own."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """An image whose look is taken over.

    Attributes:
        image: (H, W, 3), of any size.
        weight: 0..1, of `ip_adapter_scale`.
        part: words for the part of the region that it is for ("sleeves").
        part_mask: (H, W) of the photograph, 128 and above is that part. Without either it is for all of the region.
    """

    image: Image
    weight: float = 1.0
    part: str | None = None
    part_mask: Mask | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class OneOfSeveral:
    """One of several edits of a photograph; `options` are those of `OF_EACH_EDIT` that it has of its own."""

    prompt: str
    negative_prompt: str | None = None
    references: tuple[Reference, ...] = ()
    mask: Mask | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """A photograph of a thing that another one shows too; `sent_size` and `notes` as of an `EditRequest`."""

    image: Image
    sent_size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class EditRequest:
    """One edit as the user asked for it, or several of one photograph, with decoded images.

    With `edits`, `prompt`, `negative_prompt`, `references` and `mask` are each edit's, and the request has none. With
    `views`, other photographs of what the base shows, its one edit is of all of them; there are then no `edits`, no
    mask, no mark and one candidate.
    The look of all `references` is taken over.
    `n` is the number of candidates, `sent_size` (width, height) that of the photo before it was reduced, where it was;
    `notes` is what decoding has to say about the images; `loras` are the files that `options.loras` names, with those
    of weight 0.
    """

    base: Image
    prompt: str = ""
    negative_prompt: str | None = None
    references: tuple[Reference, ...] = ()
    mask: Mask | None = None
    n: int = 1
    sent_size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    loras: tuple[LoraUse, ...] = ()
    options: EditOptions = field(default_factory=EditOptions)
    edits: tuple[OneOfSeveral, ...] = ()
    views: tuple[View, ...] = ()

    @property
    def each_view(self) -> tuple[EditRequest, ...]:
        """A request for each photograph alone, the base first."""
        alone = replace(self, views=())
        others = (replace(alone, base=view.image, sent_size=view.sent_size, notes=view.notes) for view in self.views)
        return (alone, *others)

    @property
    def each(self) -> tuple[EditRequest, ...]:
        """A request for each edit alone; the only edit of most is the request itself."""
        if not self.edits:
            return (self,)
        # How masks are read is of those that have one.
        masked = any(edit.mask is not None for edit in self.edits)
        unread: Mapping[str, Any] = {"mask_mode": MaskMode.AUTO} if masked else {}
        return tuple(
            replace(
                self,
                prompt=edit.prompt,
                negative_prompt=edit.negative_prompt,
                references=edit.references,
                mask=edit.mask,
                options=replace(self.options, **(unread if edit.mask is None else {}), **edit.options),
                edits=(),
            )
            for edit in self.edits
        )
