"""A job: one edit or analysis on its way through pending -> processing -> completed | failed | cancelled.

A job is a value; stores change it only by the transitions in `LEGAL_TRANSITIONS`. Its pictures are blobs, named by
key, so that a job document stays small and can be stored anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import IntEnum, StrEnum
from typing import Any

from composition.controls import CONTROLS
from composition.request import (
    ControlType,
    Crop,
    EditOptions,
    MaskMode,
    OnNoDetection,
    OutputFormat,
    PipelineChoice,
    RefineMask,
    Speed,
)

SCHEMA_VERSION = 1
"""Of `Job.payload`. A worker refuses a job of a version that it does not know."""


class JobStatus(StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        return self in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


LEGAL_TRANSITIONS: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.PENDING: frozenset({JobStatus.PROCESSING, JobStatus.CANCELLED, JobStatus.FAILED}),
    JobStatus.PROCESSING: frozenset({JobStatus.PENDING, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.COMPLETED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}
"""PROCESSING -> PENDING is a retry or a hand-back; everything else ends the job."""


class JobKind(StrEnum):
    EDIT = "edit"
    ANALYZE = "analyze"


class Priority(IntEnum):
    """Lower runs first."""

    INTERACTIVE = 0
    BATCH = 1


@dataclass(frozen=True, kw_only=True)
class EditPayload:
    """What a job executes: `EditRequest` with its pictures as blob keys."""

    prompt: str
    base_key: str
    negative_prompt: str | None = None
    reference_keys: tuple[str, ...] = ()
    mask_key: str | None = None
    options: EditOptions = field(default_factory=EditOptions)

    @property
    def blob_keys(self) -> tuple[str, ...]:
        """Every input blob, for deletion when the job ends."""
        return (self.base_key, *self.reference_keys, *((self.mask_key,) if self.mask_key else ()))

    def to_document(self) -> dict[str, Any]:
        """JSON-serialisable form; `from_document` is its inverse."""
        document = asdict(self)
        document["options"]["loras"] = dict(self.options.loras)
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> EditPayload:
        """Raises: KeyError, TypeError or ValueError for a document of another shape."""
        raw = dict(document["options"])
        known = {f.name for f in fields(EditOptions)}
        if unknown := set(raw) - known:
            raise ValueError(f"unknown options: {sorted(unknown)}")
        raw["pipeline"] = PipelineChoice(raw["pipeline"])
        raw["control_types"] = tuple(_known_control(name) for name in raw["control_types"])
        raw["on_no_detection"] = OnNoDetection(raw["on_no_detection"])
        raw["refine_mask"] = RefineMask(raw["refine_mask"])
        raw["mask_mode"] = MaskMode(raw.get("mask_mode", MaskMode.AUTO))
        raw["crop"], raw["speed"] = Crop(raw["crop"]), Speed(raw["speed"])
        raw["output_format"] = OutputFormat(raw["output_format"])
        return cls(
            prompt=document["prompt"],
            base_key=document["base_key"],
            negative_prompt=document["negative_prompt"],
            reference_keys=tuple(document["reference_keys"]),
            mask_key=document["mask_key"],
            options=EditOptions(**raw),
        )


def _known_control(name: str) -> ControlType:
    """Raises: ValueError: another version of the service knows this control type."""
    if name not in CONTROLS:
        raise ValueError(f"unknown control type: {name}")
    return name


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """What a completed job holds: blob keys of its pictures and the JSON account of the edit.

    `account` has pipeline_used, models_used, processing_time_ms and metadata of the API's result object.
    """

    image_key: str | None
    image_media_type: str | None
    mask_key: str | None
    account: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class JobError:
    """Why a job failed, safe to show to its owner."""

    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as stored. Times are UTC seconds since the epoch; `progress` is 0..1.

    Attributes:
        owner: who may see it (an API key's name, or "anonymous").
        attempt: how many times a worker has started it; at most `max_attempts`.
        stage: the stage it is in, one of the flow's verbs, or "".
        body_digest: SHA-256 of the submission, for `idempotency_key`.
    """

    id: str
    kind: JobKind
    owner: str
    priority: Priority
    payload: EditPayload
    status: JobStatus = JobStatus.PENDING
    schema_version: int = SCHEMA_VERSION
    progress: float = 0.0
    stage: str = ""
    attempt: int = 0
    max_attempts: int = 3
    created_at: float = 0.0
    updated_at: float = 0.0
    finished_at: float | None = None
    result: JobResult | None = None
    error: JobError | None = None
    cancel_requested: bool = False
    callback_url: str | None = None
    idempotency_key: str | None = None
    body_digest: str | None = None


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A worker's right to run a job until its lease lapses; only the newest `token` (fencing) may publish."""

    job: Job
    worker_id: str
    token: int


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """One entry of a job's event stream; `sequence` rises by one per job and is the SSE id.

    `type` is status, progress or preview; `data` is JSON-serialisable.
    """

    job_id: str
    sequence: int
    type: str
    data: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A webhook that is owed: written in the same step as the job's end, kept until it is delivered or given up.

    `id` is the same at every attempt, so that a receiver can drop duplicates; `body` is the JSON that is signed and
    sent; `attempts` counts the tries so far.
    """

    id: str
    job_id: str
    url: str
    body: str
    attempts: int = 0


@dataclass(frozen=True, kw_only=True)
class JobPage:
    """Newest first; `cursor` asks for the next page, None at the end."""

    jobs: tuple[Job, ...]
    cursor: str | None
