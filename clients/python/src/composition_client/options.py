"""The request's `config` as the service documents it; a test holds it against the service's own document.

What is written here is what a type checker, an editor and the command line's flags know. The service alone judges
values, so an option of a newer service can be sent as well.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Required, TypedDict

from pydantic import Field

from composition_client.images import ImageLike


def _option(description: str, *, default: Any = None, **bounds: Any) -> Any:
    extra = {} if default is None else {"default": default}
    return Field(description=description, json_schema_extra=extra, **bounds)


ControlType = Literal["pose", "depth", "canny", "tile"]
Coordinate = Annotated[float, Field(ge=0)]
Point = Annotated[list[Coordinate], Field(min_length=2, max_length=3)]
LoraName = Annotated[str, Field(min_length=1, max_length=100)]
LoraWeight = Annotated[float, Field(ge=-2.0, le=2.0)]


class DrawnPart(TypedDict):
    """A part of what is repainted, as a mask of the photo's size: white (True) = the part."""

    mask_image: ImageLike


OneReference = TypedDict(
    "OneReference", {"image": Required[ImageLike], "weight": float, "for": str | DrawnPart}, total=False
)
"""A reference image with what is said of it: its weight, 0..1, and the part that it is for, in words or drawn."""


class OneEdit(TypedDict, total=False):
    """One of several edits of a photo; what it leaves out is as the config has it for all of them.

    Images are as `composition_client.images.to_bytes_or_url` takes them.
    """

    prompt: Required[str]
    negative_prompt: str
    mask_image: ImageLike
    reference_images: list[ImageLike | OneReference]
    target: str
    strength: float
    blend: float
    control_types: list[ControlType]
    ip_adapter_scale: float


class Config(TypedDict, total=False):
    """How an edit is made; every field may be left out."""

    pipeline: Annotated[Literal["auto", "simple", "complex"], _option("auto lets the router choose.", default="auto")]
    force_controlnet: Annotated[bool, _option("Take the complex pipeline, whatever the router says.", default=False)]
    control_types: Annotated[
        list[ControlType], _option("ControlNets to use; an empty list counts as absent.", max_length=16)
    ]
    num_inference_steps: Annotated[int, _option("Denoising steps.", default=25, ge=1, le=100)]
    guidance_scale: Annotated[float, _option("How strictly the prompt is followed.", default=7.5, ge=1, le=20)]
    guidance_rescale: Annotated[
        float, _option("How much of the contrast that guidance adds is taken back.", default=0.0, ge=0, le=1)
    ]
    scheduler: Annotated[
        Literal["DPMSolverMultistep", "DPMSolverMultistepKarras", "UniPCMultistep"],
        _option("How latents are stepped; absent: as the service is configured.", default="DPMSolverMultistep"),
    ]
    seed: Annotated[int, _option("-1 or absent: random.", ge=-1, le=2**32 - 1)]
    ip_adapter_scale: Annotated[float, _option("Weight of the reference image.", default=0.6, ge=0, le=1)]
    ip_adapter_start: Annotated[
        float,
        _option("Share of the steps after which the reference image begins to act.", default=0.0, ge=0, le=1),
    ]
    ip_adapter_end: Annotated[
        float,
        _option("Share of the steps after which the reference image acts no more.", default=1.0, ge=0, le=1),
    ]
    ip_adapter_mask: Annotated[bool, _option("The reference image acts inside the mask only.", default=False)]
    controlnet_conditioning_scale: Annotated[
        float, _option("Factor on the weight of each control type.", default=1.0, ge=0, le=2)
    ]
    control_guidance_start: Annotated[
        float, _option("Share of the steps after which structure control begins.", default=0.0, ge=0, le=1)
    ]
    control_guidance_end: Annotated[
        float, _option("Share of the steps after which structure control ends.", default=1.0, ge=0, le=1)
    ]
    target: Annotated[
        str,
        _option("What to repaint, instead of what is read from the prompt.", min_length=1, max_length=200),
    ]
    points: Annotated[
        list[Point],
        _option(
            "What was clicked, [x, y] or [x, y, label] in pixels of the photo: SAM finds the thing that the points of "
            "label 1 (the default) are on and those of label 0 are not.",
            max_length=32,
        ),
    ]
    box: Annotated[
        list[Coordinate],
        _option(
            "[x0, y0, x1, y1] in pixels of the photo, x1 and y1 exclusive: SAM finds the thing in it.",
            min_length=4,
            max_length=4,
        ),
    ]
    on_no_detection: Annotated[
        Literal["full", "error"],
        _option("full repaints everything, with a warning; error answers 422 NO_DETECTION.", default="full"),
    ]
    refine_mask: Annotated[
        Literal["auto", "on", "off"], _option("Refine boxes to silhouettes with SAM.", default="auto")
    ]
    mask_mode: Annotated[
        Literal["auto", "luminance", "alpha", "inverted"],
        _option(
            "Which side of `mask_image` is repainted: luminance: light; alpha: transparent; inverted: dark, or "
            "opaque where there is transparency; auto: what can mean only one thing, said in `warnings`.",
            default="auto",
        ),
    ]
    mask_dilation_px: Annotated[int, _option("In pixels of a 512-pixel image.", default=15, ge=0, le=64)]
    mask_blur_px: Annotated[int, _option("In pixels of a 512-pixel image.", default=21, ge=0, le=63)]
    mask_feather: Annotated[
        Literal["in", "out"],
        _option(
            "Where the mask's soft rim lies: in: inside of it, nothing outside changes; out: around it.", default="in"
        ),
    ]
    strength: Annotated[
        float, _option("How far the region may depart from the original; absent: by rule.", ge=0.1, le=1)
    ]
    blend: Annotated[
        float,
        _option("How much of what was painted is laid over the photo: 0 leaves it as it was.", default=1.0, ge=0, le=1),
    ]
    crop: Annotated[
        Literal["auto", "off"], _option("auto repaints small regions at higher resolution.", default="auto")
    ]
    crop_context: Annotated[
        float,
        _option(
            "How many times as long as the mask the crop is that a small region is painted from.",
            default=2.0,
            ge=1,
            le=8,
        ),
    ]
    speed: Annotated[
        Literal["normal", "fast", "turbo"],
        _option("fast takes few steps (LCM), turbo fewer (TCD), without guidance.", default="normal"),
    ]
    quality: Annotated[
        Literal["exact", "balanced", "draft"],
        _option(
            "How much of the computation is saved: exact none of it; balanced reuses some from step to step; "
            "draft most, for a first look.",
            default="exact",
        ),
    ]
    color_match: Annotated[bool, _option("Undo the model's colour shift inside the region.", default=True)]
    keep_parts: Annotated[
        Literal["auto", "off"],
        _option(
            "auto: when a thing changes colour, parts of another material (windows, tyres) keep their look; "
            "off: all of it takes the new one.",
            default="auto",
        ),
    ]
    keep_surroundings: Annotated[
        Literal["auto", "off"],
        _option(
            "auto: when a thing is replaced in its box, only what the old and the new thing cover changes; "
            "off: all of the box does.",
            default="auto",
        ),
    ]
    occlusion: Annotated[
        Literal["auto", "off"],
        _option(
            "auto: what stands in front of the thing, in its box or in a mask of yours, stays as it is; "
            "off: it is repainted, too.",
            default="auto",
        ),
    ]
    sharpen: Annotated[bool, _option("Light unsharp mask inside the region.", default=False)]
    output_format: Annotated[
        Literal["png", "jpeg", "webp"], _option("png and webp are lossless, jpeg has quality 95.", default="png")
    ]
    output_quality: Annotated[
        int,
        _option(
            "Of jpeg (95 otherwise) and webp, which is lossless without it; smaller files below, png has none.",
            ge=1,
            le=100,
        ),
    ]
    return_mask: Annotated[bool, _option("Add `result.mask`, a greyscale PNG.", default=False)]
    embed_metadata: Annotated[
        bool,
        _option("Write the edit's parameters and its IPTC digital source type into the image file.", default=False),
    ]
    oversize: Annotated[
        Literal["refuse", "downscale"],
        _option(
            "downscale takes a photo above limits.max_resolution and answers at the reduced size.", default="refuse"
        ),
    ]
    model: Annotated[
        str,
        _option(
            "A checkpoint of the service's list to paint with; absent: the base model.", min_length=1, max_length=64
        ),
    ]
    loras: Annotated[
        dict[LoraName, LoraWeight],
        _option(
            "LoRAs and embeddings by name, yours or the operator's, with weights -2..2 (GET /api/v1/loras).",
            max_length=5,
        ),
    ]
