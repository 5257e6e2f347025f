"""The tree of settings: every key with its default and what is allowed there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    create_model,
    model_validator,
)

from composition.controls import CONTROLS
from composition.request import MAX_EDITS, ControlType, Scheduler

Profile: TypeAlias = Literal["tiny", "tiny-sdxl", "demo", "sd15", "sdxl"]
PROFILES: tuple[Profile, ...] = get_args(Profile)

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]
Secret = Annotated[SecretStr, Field(min_length=1)]
"""A value that no message, log or dump shows: who needs it asks for it by `get_secret_value`."""


MOST_ROWS = 16
"""Rows of one forward beyond which no GPU gains much."""


def _number_from_text(value: Any) -> Any:
    """A choice of numbers takes no text, and environment variables are text."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), hide_input_in_errors=True)


class ApiConfig(_Section):
    """`api_keys` maps a key's name (the owner of its jobs) to the key; empty means no authentication.

    `docs` false answers 404 at /, /docs, /docs.json, /openapi.json and /schema.json; BentoML's clients need the last.
    `page` false leaves the list of routes at / in place of the page for people, which needs `docs` as well.
    `mcp` true answers the Model Context Protocol at /mcp, with the package `mcp`.
    `admin_key` opens /api/v1/admin to who sends it; null: those routes are 404.
    `terms_url` is where callers find what they may do with the results; /api/v1/version shows it.
    """

    host: str = "0.0.0.0"  # noqa: S104  SPEC.md Appendix A
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    workers: Count = 1
    max_request_size_mb: Count = 50
    api_keys: Mapping[str, Secret] = {}
    rate_limit_per_minute: Annotated[int, Field(ge=0)] = 0
    cors_origins: tuple[str, ...] = ()
    access_log: bool = False
    docs: bool = True
    page: bool = True
    mcp: bool = False
    admin_key: Secret | None = None
    terms_url: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None


class FetchConfig(_Section):
    """Limits on downloads of image URLs and on webhooks. `allow_private` is for tests and closed networks."""

    timeout_s: Seconds = 10.0
    max_size_mb: Count = 20
    max_redirects: Annotated[int, Field(ge=0, le=10)] = 3
    allow_private: bool = False


class DetectionConfig(_Section):
    grounding_dino: str | None = None
    sam: str | None = None
    confidence_threshold: Fraction = 0.3
    nms_threshold: Fraction = 0.5


class ControlNetConfig(_Section):
    """Beside these a key per control type, its model: `models.controlnet.pose`."""

    load_on_demand: bool = True
    max_loaded: Count = 2

    def model_of(self, control: ControlType) -> str | None:
        """The model that replaces the profile's own for a control type of the registry."""
        model: str | None = getattr(self, control)
        return model


if not TYPE_CHECKING:
    ControlNetConfig = create_model(
        "ControlNetConfig", __base__=ControlNetConfig, **dict.fromkeys(CONTROLS, (str | None, None))
    )


class IpAdapterConfig(_Section):
    """`enabled` false runs the profile without one: a reference image is refused then."""

    enabled: bool = True
    model: str | None = None
    variant: Literal["sd15", "sd15-plus", "sdxl", "sdxl-plus"] | None = None


class StructureConfig(_Section):
    """`openpose` goes through controlnet-aux, whose OpenPose code carries a non-commercial notice.

    No profile imports OpenPose's weights: the key `openpose` is a folder with body_pose_model.pth,
    hand_pose_model.pth and facenet.pth, as in the hub repository lllyasviel/Annotators.
    """

    pose_estimator: Literal["dwpose", "openpose"] = "dwpose"
    dwpose: str | None = None
    openpose: str | None = None
    depth_anything: str | None = None

    @model_validator(mode="after")
    def _openpose_has_a_folder(self) -> Self:
        if self.pose_estimator == "openpose" and self.openpose is None:
            raise ValueError("pose_estimator openpose needs the folder of its weights in the key openpose")
        return self


CheckpointName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class ModelsConfig(_Section):
    """Which models run. A null model is the profile's own.

    `checkpoints` are what `config.model` of a request may name beside the base model: a name and its folder or
    .safetensors file. At most `max_loaded_checkpoints` of them are in memory, and the base model always.
    """

    profile: Profile = "demo"
    base_model: str | None = None
    checkpoints: Mapping[CheckpointName, str] = {}
    max_loaded_checkpoints: Count = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    detection: DetectionConfig = DetectionConfig()
    controlnet: ControlNetConfig = ControlNetConfig()
    ip_adapter: IpAdapterConfig = IpAdapterConfig()
    structure: StructureConfig = StructureConfig()
    clip: str | None = None
    yolox: str | None = None
    safety_checker: bool = True


def _that_a_prompt_can_hold(keyword: str) -> str:
    if not any(character.isalnum() for character in keyword):
        raise ValueError("a keyword needs a letter or a digit, or no prompt holds it")
    return keyword


Keyword = Annotated[str, AfterValidator(_that_a_prompt_can_hold)]


class ComplexTriggers(_Section):
    """What takes an edit to the complex pipeline, beside the words that the prompt reader knows.

    `keywords` add to those words; they replace none. One that is built in already changes nothing: start-up says so.
    """

    keywords: tuple[Keyword, ...] = ()
    detect_humans: bool = True
    detect_vehicles: bool = True


class RoutingConfig(_Section):
    enable_auto_routing: bool = True
    default_pipeline: Literal["simple", "complex"] = "simple"
    routing_confidence_threshold: Fraction = 0.7
    complex_triggers: ComplexTriggers = ComplexTriggers()


class GenerationConfig(_Section):
    """Defaults of the diffusion parameters.

    `appearance_strength` is the strength of edits that keep the shape; `appearance_keep_detail` keeps the
    original's light, shade and detail when only the colour changes. `guidance_start`, `guidance_end`: classifier-free
    guidance runs between these fractions of the steps; the rest cost half. `scheduler` is what a request that names
    none is stepped with. `max_edits` bounds how many edits of one photo a request may ask for.
    """

    default_steps: Annotated[int, Field(ge=1, le=100)] = 25
    default_guidance_scale: Annotated[float, Field(ge=1.0, le=20.0)] = 7.5
    default_negative_prompt: str = ""
    scheduler: Scheduler = Scheduler.DPM_SOLVER
    enable_xformers: bool = True
    enable_torch_compile: bool | Literal["auto"] = "auto"
    native_size: Annotated[Literal[256, 512, 768, 1024] | None, BeforeValidator(_number_from_text)] = None
    appearance_strength: Annotated[float, Field(ge=0.1, le=1.0)] = 0.8
    appearance_keep_detail: bool = True
    max_rows: Annotated[Count | Literal["auto"], BeforeValidator(_number_from_text)] = "auto"
    guidance_start: Fraction = 0.0
    guidance_end: Fraction = 1.0
    max_edits: Annotated[int, Field(ge=1, le=MAX_EDITS)] = 8
    previews: bool = False

    @model_validator(mode="after")
    def _guidance_ends_after_it_starts(self) -> Self:
        if self.guidance_start > self.guidance_end:
            raise ValueError("guidance_start must not be above guidance_end")
        return self

    @property
    def rows(self) -> int:
        """`max_rows`; for "auto" where no plan was made the most that is useful."""
        return MOST_ROWS if self.max_rows == "auto" else self.max_rows


class OptimizationConfig(_Section):
    """What takes memory, chosen by the plan of `models_store.plan` where it is "auto".

    `int8` names what is held as 8-bit weights: controlnets, image_encoder (SPEC.md 6.2) and unet.
    """

    enable_model_offload: bool | Literal["auto"] = "auto"
    one_perception_process: bool | Literal["auto"] = "auto"
    int8: tuple[Literal["controlnets", "image_encoder", "unet"], ...] = ()
    cache_preprocessors: bool = True
    cache_ttl_seconds: Seconds = 300.0
    cache_max_mb: Count = 256

    @property
    def offloads(self) -> bool:
        """`enable_model_offload`; false for "auto" where no plan was made."""
        return self.enable_model_offload is True


class LimitsConfig(_Section):
    """`max_resolution` and `min_resolution` bound each side, in pixels.

    `max_downscaled_megapixels` bounds what is decoded for `config.oversize: downscale`.
    """

    max_resolution: Count = 2048
    max_downscaled_megapixels: Annotated[int, Field(ge=1, le=80)] = 50
    min_resolution: Count = 256
    max_concurrent_requests: Count = 3
    request_timeout_seconds: Seconds = 120.0


class VideoConfig(_Section):
    """Clips: `max_seconds`, `max_frames`, `max_megapixels` of a frame, `max_size_mb` of a file bound what is taken.

    `limits.max_resolution` and `limits.min_resolution` hold for frames too. So many frames as `window_frames` are
    denoised together, as far as `generation.max_rows` reaches; the region is looked for anew every
    `key_frame_interval` frames, and carried by optical flow in between.
    """

    max_seconds: Seconds = 20.0
    max_frames: Annotated[int, Field(ge=2, le=3000)] = 480
    max_megapixels: Annotated[float, Field(gt=0.0, le=16.0)] = 2.1
    max_size_mb: Count = 32
    window_frames: Annotated[int, Field(ge=1, le=16)] = 4
    key_frame_interval: Count = 8


class QueueConfig(_Section):
    """`embedded` keeps jobs in this process's store; `celery` hands them to workers through Redis.

    `retry_delay_s` is the delay before the second attempt after a transient failure, four times longer before each
    next one, at most a minute.
    """

    backend: Literal["embedded", "celery"] = "embedded"
    max_pending: Count = 1000
    max_attempts: Count = 3
    lease_s: Seconds = 15.0
    retry_delay_s: Seconds = 5.0
    shutdown_grace_s: Seconds = 30.0
    result_ttl_seconds: Seconds = 86_400.0
    redis_url: Secret = SecretStr("redis://127.0.0.1:6379/0")
    visibility_timeout_s: Seconds = 3600.0
    webhook_secret: Secret | None = None
    webhook_attempts: Count = 6


class StorageConfig(_Section):
    """Where the embedded queue's jobs and every queue's images are.

    `folder` null is the user's state folder. `jobs` is a SQLite file, or "memory"; null is a file in the folder.
    `blobs` is a folder, an s3://, redis:// or fsspec URL, or "memory"; null is in the folder with the embedded queue,
    and the queue's Redis with Celery, whose nodes share no disk. It is a secret since such a URL may hold a password.
    """

    folder: str | None = None
    jobs: str | None = None
    blobs: Secret | None = None


class LorasConfig(_Section):
    """LoRAs and embeddings of users.

    `folder` is the operator's own: every .safetensors file in it is offered to all callers by its name. `uploads` false
    closes POST /api/v1/loras. `max_loaded_mb` is for those that the diffusion model has ready, `max_cached_mb` for the
    files that a worker has fetched from a storage elsewhere. `fused` adds LoRAs to copies of the weights that they
    change: faster steps for more memory, equal to the stock pipeline but for rounding.
    """

    folder: str | None = None
    uploads: bool = True
    max_size_mb: Count = 512
    max_per_owner: Count = 20
    max_mb_per_owner: Count = 4096
    max_loaded_mb: Count = 1024
    max_cached_mb: Count = 8192
    fused: bool = False


class LoggingConfig(_Section):
    """`format` json writes one JSON object a line, with the ids of request, job and trace."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["text", "json"] = "text"


class MetricsConfig(_Section):
    """A Celery worker answers GET /metrics at `worker_host` and `worker_port`; null: it does not.

    API nodes and a single machine answer at the API's port.
    """

    worker_host: str = "0.0.0.0"  # noqa: S104  asked for by naming a port
    worker_port: Annotated[int, Field(ge=1, le=65535)] | None = None


class TracingConfig(_Section):
    """Off while neither is named: `endpoint` takes OTLP over HTTP (http://collector:4318/v1/traces), `file` JSON lines.

    `sample` is the fraction of the requests that are traced, unless their caller has decided it.
    """

    endpoint: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None
    file: str | None = None
    sample: Fraction = 1.0

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.endpoint is not None and self.file is not None:
            raise ValueError("name an endpoint or a file, not both")
        return self


class Config(_Section):
    api: ApiConfig = ApiConfig()
    fetch: FetchConfig = FetchConfig()
    models: ModelsConfig = ModelsConfig()
    routing: RoutingConfig = RoutingConfig()
    generation: GenerationConfig = GenerationConfig()
    optimization: OptimizationConfig = OptimizationConfig()
    limits: LimitsConfig = LimitsConfig()
    video: VideoConfig = VideoConfig()
    queue: QueueConfig = QueueConfig()
    storage: StorageConfig = StorageConfig()
    loras: LorasConfig = LorasConfig()
    logging: LoggingConfig = LoggingConfig()
    metrics: MetricsConfig = MetricsConfig()
    tracing: TracingConfig = TracingConfig()

    @model_validator(mode="after")
    def _the_queue_fits(self) -> Self:
        if self.queue.backend == "embedded" and self.api.workers > 1:
            raise ValueError(
                f"api.workers: the embedded queue runs in exactly one API worker, got {self.api.workers};"
                " several need queue.backend: celery"
            )
        if self.queue.visibility_timeout_s <= self.limits.request_timeout_seconds:
            raise ValueError(
                "queue.visibility_timeout_s: must be longer than limits.request_timeout_seconds"
                f" ({self.limits.request_timeout_seconds:g}), got {self.queue.visibility_timeout_s:g}"
            )
        return self
