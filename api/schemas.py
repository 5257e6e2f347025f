"""What a caller may send: the request table of POST /generate, validated strictly before anything else happens.

Unknown keys, NaN, numbers as text and booleans as numbers are refused; everything here answers 400 INVALID_INPUT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from composition.controls import CONTROLS
from composition.request import Crop, MaskMode, OnNoDetection, OutputFormat, PipelineChoice, RefineMask, Speed

MAX_PROMPT_CHARS = 1000
MAX_URL_CHARS = 8192
MAX_LORAS = 5


def _without_repetition(types: list[str] | None) -> list[str] | None:
    return list(dict.fromkeys(types)) if types else None


def _or_none(loras: dict[str, float] | None) -> dict[str, float] | None:
    return loras or None


def _none_if_blank(value: object) -> object:
    """Forms and client libraries send "" for what was left out."""
    return None if isinstance(value, str) and not value.strip() else value


def _http_url(url: str) -> str:
    if not url.lower().startswith(("http://", "https://")):
        raise ValueError("must be an http or https URL")
    return url


if TYPE_CHECKING:
    ControlName = str
else:
    ControlName = Literal[tuple(CONTROLS)]

Picture = Annotated[
    str,
    StringConstraints(min_length=1),
    Field(description="A JPEG, PNG or WebP picture: base64, a data URL, or an http(s) URL that the service fetches."),
]
BlankIsAbsent = BeforeValidator(_none_if_blank)
Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_PROMPT_CHARS)]
Flag = Annotated[bool, Field(strict=True)]
Integer = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
LoraName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
LoraWeight = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-2.0, le=2.0)]


class GenerateConfig(BaseModel):
    """How the edit is made; every field may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pipeline: PipelineChoice = Field(PipelineChoice.AUTO, description="auto lets the router choose.")
    force_controlnet: Flag = Field(False, description="Take the complex pipeline, whatever the router says.")
    control_types: Annotated[
        list[ControlName] | None,
        Field(max_length=16, description="ControlNets to use; an empty list counts as absent."),
        AfterValidator(_without_repetition),
    ] = None
    num_inference_steps: Integer = Field(25, ge=1, le=100, description="Denoising steps.")
    guidance_scale: Number = Field(7.5, ge=1.0, le=20.0, description="How strictly the prompt is followed.")
    seed: Integer | None = Field(None, ge=-1, le=2**32 - 1, description="-1 or absent: random.")
    ip_adapter_scale: Number = Field(0.6, ge=0.0, le=1.0, description="Weight of the reference picture.")
    controlnet_conditioning_scale: Number = Field(
        1.0, ge=0.0, le=2.0, description="Factor on the weight of each control type."
    )
    target: Annotated[
        Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)] | None,
        Field(description="What to repaint, instead of what is read from the prompt."),
        BlankIsAbsent,
    ] = None
    on_no_detection: OnNoDetection = Field(
        OnNoDetection.FULL, description="full repaints everything, with a warning; error answers 422 NO_DETECTION."
    )
    refine_mask: RefineMask = Field(RefineMask.AUTO, description="Refine boxes to silhouettes with SAM.")
    mask_mode: MaskMode = Field(
        MaskMode.AUTO,
        description="Which side of `mask_image` is repainted: luminance: light; alpha: transparent; inverted: dark, or "
        "opaque where there is transparency; auto: what can mean only one thing, said in `warnings`.",
    )
    mask_dilation_px: Integer = Field(15, ge=0, le=64, description="In pixels of a 512-pixel picture.")
    mask_blur_px: Integer = Field(21, ge=0, le=63, description="In pixels of a 512-pixel picture.")
    strength: Number | None = Field(
        None, ge=0.1, le=1.0, description="How far the region may depart from the original; absent: by rule."
    )
    crop: Crop = Field(Crop.AUTO, description="auto repaints small regions at higher resolution.")
    speed: Speed = Field(Speed.NORMAL, description="fast takes few steps (LCM).")
    color_match: Flag = Field(True, description="Undo the model's colour shift inside the region.")
    sharpen: Flag = Field(False, description="Light unsharp mask inside the region.")
    output_format: OutputFormat = Field(OutputFormat.PNG, description="png and webp are lossless, jpeg has quality 95.")
    return_mask: Flag = Field(False, description="Add `result.mask`, a greyscale PNG.")
    loras: Annotated[
        dict[LoraName, LoraWeight] | None,
        Field(max_length=MAX_LORAS, description="Allow-listed LoRA names with weights."),
        AfterValidator(_or_none),
    ] = None


EXAMPLE_REQUEST: dict[str, Any] = {
    "base_image": "data:image/jpeg;base64,/9j/4AAQSkZJRgABAQ...",
    "prompt": "person wearing this designer jacket",
    "reference_image": "https://example.com/jacket.webp",
    "negative_prompt": "deformed, distorted, low quality",
    "config": {"num_inference_steps": 25, "guidance_scale": 7.5, "seed": 42},
}


class GenerateRequest(BaseModel):
    """One edit: a photo, a sentence and, optionally, a reference picture."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": EXAMPLE_REQUEST})

    base_image: Picture
    prompt: Prompt
    reference_image: Annotated[Picture | None, BlankIsAbsent] = None
    mask_image: Annotated[
        Picture | None,
        Field(description="White = repaint (see config.mask_mode), same size as the base image; overrides detection."),
        BlankIsAbsent,
    ] = None
    negative_prompt: Annotated[Prompt | None, BlankIsAbsent] = None
    callback_url: Annotated[
        Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_URL_CHARS), AfterValidator(_http_url)]
        | None,
        Field(description="Webhook that is told when the job ends; only for /generate/async."),
        BlankIsAbsent,
    ] = None
    config: GenerateConfig = GenerateConfig()
