"""What the service answers: the specified bodies, with the additions of the contract."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from composition.decision import Pipeline
from composition.jobs import JobKind, JobStatus
from composition.lora import KeyLayout, LoraKind
from composition.request import OutputFormat


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class GenerateResult(_Wire):
    image: str | None = Field(None, description="The edited image, base64, in `config.output_format`.")
    images: list[str] | None = Field(None, description="With n above 1: every candidate, the first one too.")
    image_url: str | None = Field(
        None,
        description="With `response_format` url, in the place of `image`: its path.",
        examples=["/api/v1/jobs/2f4c7b0e-8d3a-4a58-9a2e-5d0c6f2b1e77/image"],
    )
    image_urls: list[str] | None = Field(None, description="With n above 1: the path of every candidate.")
    mask: str | None = Field(None, description="The feathered mask, base64 PNG; only with `config.return_mask`.")
    pipeline_used: Pipeline
    models_used: list[str] = Field(examples=[["grounding-dino", "sd-inpainting"]])
    processing_time_ms: int = Field(examples=[8523])
    metadata: dict[str, Any] = Field(
        description="input_resolution, output_resolution, seed_used, seeds, routing, detections, mask_area, edits, "
        "loras, timings_ms, cache, warnings.",
        examples=[{"input_resolution": "1024x1024", "output_resolution": "1024x1024", "seed_used": 42, "seeds": [42]}],
    )


class GenerateResponse(_Wire):
    success: Literal[True] = True
    result: GenerateResult


class ViewsResult(_Wire):
    image: str | None = Field(None, description="The first photograph, edited, base64, in `config.output_format`.")
    images: list[str] | None = Field(
        None, description="Every photograph in the order in which they were sent; one without the thing as it was."
    )
    image_url: str | None = Field(None, description="With `response_format` url, in the place of `image`: its path.")
    image_urls: list[str] | None = Field(None, description="With `response_format` url, in the place of `images`.")
    pipeline_used: Pipeline
    models_used: list[str] = Field(examples=[["grounding-dino", "sd-inpainting"]])
    processing_time_ms: int = Field(examples=[12840])
    metadata: dict[str, Any] = Field(
        description="seed_used, seeds, routing, loras, timings_ms, cache, warnings; views: of each photograph "
        "input_resolution, output_resolution, region, detections, mask_area, kept, warnings.",
    )


class ViewsResponse(_Wire):
    success: Literal[True] = True
    result: ViewsResult


class AnalyzeResult(_Wire):
    """A dry run: what would be repainted, and why."""

    mask: str = Field(description="The feathered mask that the edit would be blended with, base64 PNG.")
    pipeline: Pipeline
    models_used: list[str]
    metadata: dict[str, Any]


class AnalyzeResponse(_Wire):
    success: Literal[True] = True
    result: AnalyzeResult


class SubmitResponse(_Wire):
    success: Literal[True] = True
    job_id: str
    status_url: str = Field(examples=["/api/v1/status/2f4c7b0e-8d3a-4a58-9a2e-5d0c6f2b1e77"])


class StatusResponse(_Wire):
    job_id: str
    status: JobStatus
    progress: float = Field(ge=0.0, le=1.0)
    stage: str = Field(description="The stage it is in: fetch, decode, route, detect, mask, diffuse, blend, encode.")
    attempt: int
    created_at: float = Field(description="UTC seconds since the epoch.")
    finished_at: float | None
    result: dict[str, Any] | None = Field(
        None,
        description="When completed: as in /generate (of an analysis: as in /analyze); of a clip `video` or "
        "`video_url`, and `media_type`, in the place of the image.",
    )
    error: str | None = Field(
        None, description="When failed or cancelled: why. When completed: that its images are not kept any more."
    )
    error_code: str | None = None


class JobSummary(_Wire):
    job_id: str
    kind: JobKind
    status: JobStatus
    progress: float
    stage: str
    prompt: str
    created_at: float
    finished_at: float | None
    error: str | None = None
    error_code: str | None = None
    status_url: str


class JobListResponse(_Wire):
    success: Literal[True] = True
    jobs: list[JobSummary] = Field(description="Newest first.")
    cursor: str | None = Field(description="Asks for the next page; null at the end.")


class LoraInfo(_Wire):
    """A LoRA or an embedding that a request may name in `config.loras`."""

    name: str = Field(examples=["pixel-art"])
    kind: LoraKind = Field(description="lora, or embedding (textual inversion).")
    source: Literal["upload", "operator"] = Field(description="The caller's own, or the operator's for everybody.")
    family: str | None = Field(
        description="The models it was made for: sd15 or sdxl; null: its widths are of no published model.",
        examples=["sd15"],
    )
    fits: bool | None = Field(description="Whether these are the models that are served; null: only a try tells.")
    layout: KeyLayout = Field(description="Who named its tensors.")
    ranks: list[int] = Field(description="Of its matrices, ascending; empty for an embedding.", examples=[[16]])
    parts: list[str] = Field(description="What it changes.", examples=[["unet", "text_encoder"]])
    trigger_words: list[str] = Field(
        description="Words of the prompt that it listens to; of an embedding, its token.", examples=[["pixel art"]]
    )
    size_bytes: int = Field(examples=[37861176])
    sha256: str = Field(examples=["5d41402abc4b2a76b9719d911017c5925d41402abc4b2a76b9719d911017c592"])
    created_at: float = Field(description="UTC seconds since the epoch.", examples=[1795665600.0])


class LoraResponse(_Wire):
    success: Literal[True] = True
    lora: LoraInfo


class LoraUploads(_Wire):
    """What POST /loras takes: of one file, and of all that a caller keeps."""

    max_size_bytes: int = Field(description="Of one file.", examples=[536870912])
    max_per_owner: int = Field(description="So many a caller may keep.", examples=[20])
    max_bytes_per_owner: int = Field(description="Of all of a caller's files together.", examples=[4294967296])


class LoraListResponse(_Wire):
    success: Literal[True] = True
    loras: list[LoraInfo] = Field(description="By name.")
    uploads: LoraUploads | None = Field(description="The limits of uploads; null where the service takes none.")


class RunnerHealth(_Wire):
    ready: bool
    restarts: int = Field(description="How often this API process has seen it started again.")
    failure: str | None = Field(None, description="While it is away: the error that kept it from starting, if any.")


class HealthResponse(_Wire):
    status: Literal["healthy"] = "healthy"
    profile: str = Field(description="The model profile that is served.", examples=["sd15"])
    models_loaded: list[str] = Field(examples=[["sd-inpainting", "grounding-dino", "ip-adapter"]])
    gpu_available: bool
    gpu_memory_free_mb: int = Field(examples=[15360])
    runners: dict[str, RunnerHealth] = Field(description="By name; empty on an API node, whose workers have none.")
    draining: bool = Field(description="An admin has turned the drain switch: no new work is taken.")


class BentoFacts(_Wire):
    tag: str = Field(examples=["image-composition:k3x5hbfnpcqz2aav"])
    built_at: str = Field(examples=["2026-11-25 08:14:02"])


class VersionResponse(_Wire):
    version: str = Field(examples=["0.1.0"])
    profile: str = Field(description="The model profile that is served.", examples=["sd15"])
    bento: BentoFacts | None = Field(description="The Bento that the service runs from; null in a checkout.")
    packages: dict[str, str] = Field(description="Versions of the main packages.", examples=[{"torch": "2.14.1"}])
    terms_url: str | None = Field(description="Where the terms of use are (`api.terms_url`).")


class ServedModelInfo(_Wire):
    name: str = Field(description="As in `models_used`.", examples=["sd-inpainting"])
    repository: str = Field(examples=["stable-diffusion-v1-5/stable-diffusion-inpainting"])
    revision: str | None = Field(description="Null where the configuration names another model than the profile's.")
    licence: str | None = Field(
        description="Of the weights; null as for the revision.", examples=["CreativeML OpenRAIL-M"]
    )
    optional: bool = Field(description="The profile does without it.")
    present: bool = Field(description="It has been imported.")


class ModelsResponse(_Wire):
    profile: str = Field(examples=["sd15"])
    models: list[ServedModelInfo]
    terms_url: str | None


class DrainResponse(_Wire):
    draining: bool
    pending: int = Field(description="Jobs that wait.")
    processing: int = Field(description="Jobs that run.")


class ErrorInfo(_Wire):
    code: str = Field(examples=["INVALID_INPUT"])
    message: str = Field(examples=["config.num_inference_steps: Input should be greater than or equal to 1"])
    details: dict[str, Any]


class ErrorResponse(_Wire):
    """Every non-2xx body."""

    success: Literal[False] = False
    error: ErrorInfo


class OpenAiErrorInfo(_Wire):
    message: str = Field(examples=["size: an edit has its photo's resolution: auto or 1024x768"])
    type: str = Field(examples=["invalid_request_error"])
    param: str | None = Field(examples=["size"])
    code: str = Field(examples=["invalid_input"])


class OpenAiErrorResponse(_Wire):
    """Every non-2xx body under /v1/."""

    error: OpenAiErrorInfo


class OpenAiImage(_Wire):
    b64_json: str = Field(description="The edited image, base64, in `output_format`.")


class OpenAiImagesResponse(_Wire):
    """What POST /v1/images/edits answers without `stream`."""

    created: int = Field(description="UTC seconds since the epoch.")
    data: list[OpenAiImage] = Field(description="The candidates, in the order of their seeds.")
    background: Literal["opaque"]
    output_format: OutputFormat
    quality: Literal["low", "medium", "high"]
    size: str = Field(examples=["1024x768"])
    usage: dict[str, Any] = Field(description="Zeros: nothing is counted in tokens.")
    metadata: dict[str, Any] = Field(description="As in /api/v1/generate; not one of OpenAI's fields.")


class OpenAiModel(_Wire):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class OpenAiModelList(_Wire):
    object: Literal["list"]
    data: list[OpenAiModel]
