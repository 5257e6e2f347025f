"""The configuration: one frozen tree, read once at start-up from config.yaml and the environment.

Order, later wins: the defaults here, the YAML file (`COMPOSITION_CONFIG`, else ./config.yaml), environment variables
`COMPOSITION_<SECTION>__<KEY>` (value in JSON where it is a list or a table). An unknown key or a bad value stops
start-up with its path and what would be allowed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

ENV_PREFIX = "COMPOSITION_"
CONFIG_PATH_VARIABLE = "COMPOSITION_CONFIG"
PROFILES = ("tiny", "demo", "sd15", "sdxl")
LOCAL_BLOBS = "var/blobs"

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]


class ConfigError(Exception):
    """The configuration cannot be used; the message names every bad key by its path."""


def _number_from_text(value: Any) -> Any:
    """A choice of numbers takes no text, and environment variables are text."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class ApiConfig(_Section):
    """`api_keys` maps a key's name (the owner of its jobs) to the key; empty means no authentication."""

    host: str = "0.0.0.0"  # noqa: S104  SPEC.md Appendix A
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    workers: Count = 1
    max_request_size_mb: Count = 50
    api_keys: Mapping[str, str] = {}
    rate_limit_per_minute: Annotated[int, Field(ge=0)] = 0
    cors_origins: tuple[str, ...] = ()
    access_log: bool = False


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
    pose: str | None = None
    depth: str | None = None
    load_on_demand: bool = True
    max_loaded: Count = 2


class IpAdapterConfig(_Section):
    model: str | None = None
    variant: Literal["sd15", "sd15-plus", "sdxl"] | None = None


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


class ModelsConfig(_Section):
    """Which models run. A null model is the profile's own."""

    profile: Literal["tiny", "demo", "sd15", "sdxl"] = "demo"
    base_model: str | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    detection: DetectionConfig = DetectionConfig()
    controlnet: ControlNetConfig = ControlNetConfig()
    ip_adapter: IpAdapterConfig = IpAdapterConfig()
    structure: StructureConfig = StructureConfig()
    clip: str | None = None
    yolox: str | None = None
    safety_checker: bool = True


class ComplexTriggers(_Section):
    """`keywords` are added to the built-in word lists of the try-on and structural rules."""

    keywords: tuple[str, ...] = ("try on", "wearing", "person", "car", "vehicle")
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
    original's light, shade and detail when only the colour changes. `guidance_end`: classifier-free guidance runs for
    this fraction of the steps; the rest cost half.
    """

    default_steps: Annotated[int, Field(ge=1, le=100)] = 25
    default_guidance_scale: Annotated[float, Field(ge=1.0, le=20.0)] = 7.5
    default_negative_prompt: str = ""
    scheduler: Literal["DPMSolverMultistep"] = "DPMSolverMultistep"
    enable_xformers: bool = True
    enable_torch_compile: bool | Literal["auto"] = "auto"
    native_size: Annotated[Literal[256, 512, 768, 1024] | None, BeforeValidator(_number_from_text)] = None
    appearance_strength: Annotated[float, Field(ge=0.1, le=1.0)] = 0.8
    appearance_keep_detail: bool = True
    max_rows: Count = 16
    guidance_end: Fraction = 1.0
    previews: bool = False


class OptimizationConfig(_Section):
    enable_model_offload: bool = False
    cache_preprocessors: bool = True
    cache_ttl_seconds: Seconds = 300.0
    cache_max_mb: Count = 256


class LimitsConfig(_Section):
    """`max_resolution` and `min_resolution` bound each side, in pixels."""

    max_resolution: Count = 2048
    min_resolution: Count = 256
    max_concurrent_requests: Count = 3
    request_timeout_seconds: Seconds = 120.0


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
    redis_url: str = "redis://127.0.0.1:6379/0"
    visibility_timeout_s: Seconds = 3600.0
    webhook_secret: str | None = None
    webhook_attempts: Count = 6


class StorageConfig(_Section):
    """Where the embedded queue's jobs and every queue's pictures are.

    `jobs` is a SQLite file, or "memory". `blobs` is a folder, an fsspec or redis:// URL, or "memory"; null is
    `LOCAL_BLOBS` with the embedded queue and the queue's Redis with Celery, whose nodes share no disk.
    """

    jobs: str = "var/jobs.sqlite3"
    blobs: str | None = None


class LoggingConfig(_Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class Config(_Section):
    api: ApiConfig = ApiConfig()
    fetch: FetchConfig = FetchConfig()
    models: ModelsConfig = ModelsConfig()
    routing: RoutingConfig = RoutingConfig()
    generation: GenerationConfig = GenerationConfig()
    optimization: OptimizationConfig = OptimizationConfig()
    limits: LimitsConfig = LimitsConfig()
    queue: QueueConfig = QueueConfig()
    storage: StorageConfig = StorageConfig()
    logging: LoggingConfig = LoggingConfig()

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


def load_config(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """Read the configuration.

    Args:
        path: the YAML file; None takes `COMPOSITION_CONFIG`, else ./config.yaml when it exists.
        environment: the environment variables; None takes the process's.

    Raises:
        ConfigError: with the path of every bad key and what is allowed there.
    """
    env = os.environ if environment is None else environment
    tree = _read_file(path, env)
    _overlay_environment(tree, env)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from error


def _read_file(path: Path | None, env: Mapping[str, str]) -> dict[str, Any]:
    explicit = path or (Path(env[CONFIG_PATH_VARIABLE]) if env.get(CONFIG_PATH_VARIABLE) else None)
    named = explicit or Path("config.yaml")
    if explicit is None and not named.exists():
        return {}
    try:
        tree = yaml.safe_load(named.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{named}: cannot be read: {error}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{named}: must be a table of sections, is a {type(tree).__name__}")
    return tree


def _overlay_environment(tree: dict[str, Any], env: Mapping[str, str]) -> None:
    for name in sorted(env):
        if not name.startswith(ENV_PREFIX) or name == CONFIG_PATH_VARIABLE:
            continue
        keys = name[len(ENV_PREFIX) :].lower().split("__")
        node = tree
        for key in keys[:-1]:
            child = node.get(key)
            if child is None:
                child = node[key] = {}
            if not isinstance(child, dict):
                raise ConfigError(f"{name}: {key} is a value, not a section")
            node = child
        node[keys[-1]] = _parse_variable(env[name])


def _parse_variable(text: str) -> Any:
    """JSON where it is JSON other than a bare number (pydantic turns numbers and booleans from text), else the text."""
    if text.strip()[:1] in ("[", "{") or text.strip() in ("null", "true", "false"):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    return text


def _explain(error: ValidationError) -> str:
    lines = ["the configuration cannot be used:"]
    for item in error.errors():
        if not item["loc"]:  # keys that do not fit one another: the message names them; the input is the whole tree
            lines.append(f"  {item['msg'].removeprefix('Value error, ')}")
            continue
        where = ".".join(str(part) for part in item["loc"])
        got = "" if item["type"] in ("missing", "extra_forbidden") else f", got {item['input']!r}"
        message = "is not a known key" if item["type"] == "extra_forbidden" else item["msg"]
        lines.append(f"  {where}: {message}{got}")
    return "\n".join(lines)
