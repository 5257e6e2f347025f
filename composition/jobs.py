"""A job: one edit or analysis on its way through pending -> processing -> completed | failed | cancelled.

A job is a value; what keeps and runs it changes it by rules of its own. Its images are blobs, named by key, so that a
job stays small and can be stored anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from composition.request import EditOptions, ResponseFormat, VideoOutput
from composition.result import Checkpoint

SCHEMA_VERSION, SEVERAL_EDITS_VERSION, USED_REFERENCES_VERSION, VIEWS_VERSION, VIDEO_VERSION = 1, 2, 3, 4, 5
KNOWN_VERSIONS = frozenset(
    {SCHEMA_VERSION, SEVERAL_EDITS_VERSION, USED_REFERENCES_VERSION, VIEWS_VERSION, VIDEO_VERSION}
)
"""Of `Job.payload`. A worker refuses a job of a version that it does not know; a job is of the first that knows it."""


FRAMES_OF_A_PLACE = 8
"""So many frames of a clip count as one edit: in the queue and in the rate limit."""


class JobStatus(StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        return self in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


class JobKind(StrEnum):
    EDIT = "edit"
    ANALYZE = "analyze"


class Priority(IntEnum):
    """Lower runs first."""

    INTERACTIVE = 0
    BATCH = 1


@dataclass(frozen=True, kw_only=True)
class UseOfReference:
    """`Reference` without its image, its mask as a blob key."""

    weight: float = 1.0
    part: str | None = None
    mask_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class EditOfPayload:
    """`OneOfSeveral` with its images as blob keys.

    `reference_uses` are of each of the `reference_keys`; none: they are used as images that nothing is said of.
    """

    prompt: str
    negative_prompt: str | None = None
    reference_keys: tuple[str, ...] = ()
    reference_uses: tuple[UseOfReference, ...] = ()
    mask_key: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def blob_keys(self) -> tuple[str, ...]:
        return _present(*self.reference_keys, self.mask_key, *(use.mask_key for use in self.reference_uses))


@dataclass(frozen=True, kw_only=True)
class VideoOfPayload:
    """What is special of a clip: the file that it becomes, and how many frames it has."""

    output: VideoOutput
    frames: int


@dataclass(frozen=True, kw_only=True)
class EditPayload:
    """What a job executes: `EditRequest` with its images as blob keys, and how its images are to be delivered.

    With `edits` it has no prompt of its own. `reference_uses` are as those of an edit. `view_keys` are of the
    photographs beside the base. With `video` the base is a clip. `lora_digests` has the SHA-256 of the file that each
    name of `options.loras` meant when the job was accepted.
    """

    prompt: str
    base_key: str
    negative_prompt: str | None = None
    reference_keys: tuple[str, ...] = ()
    reference_uses: tuple[UseOfReference, ...] = ()
    mask_key: str | None = None
    n: int = 1
    response_format: ResponseFormat = ResponseFormat.JSON
    options: EditOptions = field(default_factory=EditOptions)
    lora_digests: Mapping[str, str] = field(default_factory=dict)
    edits: tuple[EditOfPayload, ...] = ()
    view_keys: tuple[str, ...] = ()
    video: VideoOfPayload | None = None

    @property
    def blob_keys(self) -> tuple[str, ...]:
        """Every input blob, for deletion when the job ends."""
        uses = (use.mask_key for use in self.reference_uses)
        own = (*self.view_keys, *_present(*self.reference_keys, self.mask_key, *uses))
        return (self.base_key, *own, *(key for edit in self.edits for key in edit.blob_keys))

    @property
    def words(self) -> str:
        """What it asks for, for lists of jobs."""
        return self.prompt or "; ".join(edit.prompt for edit in self.edits)

    @property
    def size(self) -> int:
        """What it costs, in edits: every region of every candidate is denoised, or every view, or every frame."""
        frames = 1 if self.video is None else self.video.frames
        return self.n * max(1, len(self.edits)) * (1 + len(self.view_keys)) * frames

    @property
    def places(self) -> int:
        """How many edits it counts as where edits are counted."""
        return self.size if self.video is None else -(-self.video.frames // FRAMES_OF_A_PLACE)

    @property
    def schema_version(self) -> int:
        """The first that understands it."""
        if self.video is not None:
            return VIDEO_VERSION
        if self.view_keys:
            return VIEWS_VERSION
        if self.reference_uses or any(edit.reference_uses for edit in self.edits):
            return USED_REFERENCES_VERSION
        return SEVERAL_EDITS_VERSION if self.edits else SCHEMA_VERSION


def _present(*keys: str | None) -> tuple[str, ...]:
    return tuple(key for key in keys if key is not None)


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """What a completed job holds: blob keys of its images and the JSON account of the edit.

    `image_key` is the first candidate's, `other_image_keys` are those of the rest in the order of their seeds; of an
    edit of several views the first one's, and those of the rest as they were sent; of a clip its first frame's, beside
    `video_key` of the clip itself.
    `account` has pipeline_used, models_used, processing_time_ms and metadata of the API's result object.
    """

    image_key: str | None
    image_media_type: str | None
    mask_key: str | None
    account: Mapping[str, Any]
    other_image_keys: tuple[str, ...] = ()
    video_key: str | None = None
    video_media_type: str | None = None

    @property
    def image_keys(self) -> tuple[str, ...]:
        """Of every candidate in the order of their seeds, or of every view; empty for an analysis."""
        return (() if self.image_key is None else (self.image_key,)) + self.other_image_keys

    @property
    def blob_keys(self) -> tuple[str, ...]:
        """Every result blob, for deletion when the job is dropped."""
        return self.image_keys + _present(self.mask_key, self.video_key)


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
        attempt: how many times a worker has started it, without those that a shutdown handed back.
        max_attempts: how many of them may fail; one that was lost with its worker, runner or storage does not count.
        stage: the stage it is in, one of the flow's verbs, or "".
        time_limit_s: seconds that one attempt may take, without the time in the queue; decided at acceptance.
        body_digest: SHA-256 of the submission, for `idempotency_key`.
        session: the owner's name for a line of requests of which only the newest is wanted; None: of no such line.
        request_id: of the request that submitted it, for the log; may be empty.
        traceparent: the trace that it was submitted in, as in the W3C header; empty for none.
        checkpoint: what its attempts have finished of a clip; None: nothing.
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
    time_limit_s: float = 120.0
    created_at: float = 0.0
    finished_at: float | None = None
    result: JobResult | None = None
    error: JobError | None = None
    cancel_requested: bool = False
    callback_url: str | None = None
    idempotency_key: str | None = None
    body_digest: str | None = None
    session: str | None = None
    request_id: str = ""
    traceparent: str = ""
    checkpoint: Checkpoint | None = None

    @property
    def working_keys(self) -> tuple[str, ...]:
        """Every blob that it needs until it ends."""
        return self.payload.blob_keys + (() if self.checkpoint is None else self.checkpoint.blob_keys)

    @property
    def trace_id(self) -> str:
        """That of `traceparent`, which is version-trace-span-flags; empty for none."""
        return self.traceparent.partition("-")[2].partition("-")[0]

    @property
    def places(self) -> int:
        """How many of the queue's places it takes while it waits: one for each edit of each image that it makes."""
        return self.payload.places if self.kind is JobKind.EDIT else 1


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
class JobPage:
    """Newest first; `cursor` asks for the next page, None at the end."""

    jobs: tuple[Job, ...]
    cursor: str | None
