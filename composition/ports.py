"""What the domain needs from the outside world. Adapters live in `api/`, `jobs/` and `runners/`; wiring in service.py.

Every port is asynchronous: one event loop per process serves them all, and adapters move blocking work to threads.
Ports raise only `composition.errors`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from composition.jobs import Claim, Delivery, Job, JobError, JobEvent, JobPage, JobResult, JobStatus
from composition.types import (
    DepthMap,
    Detection,
    DiffusionProgress,
    DiffusionRequest,
    DiffusionResult,
    Image,
    Mask,
    OutputFormat,
    Pose,
    Progress,
    ReferenceKind,
)


class Analyzer(Protocol):
    """Signals for the router: YOLOX and CLIP."""

    async def detect_objects(self, image: Image) -> tuple[Detection, ...]:
        """COCO objects of the picture (person, car, ...), best first, after NMS."""
        ...

    async def classify_reference(self, image: Image) -> Mapping[ReferenceKind, float]:
        """Probability (0..1, sums to 1) per kind of what the reference shows."""
        ...

    async def classify_prompt(self, prompt: str) -> float:
        """Probability (0..1) that the prompt is about a body, a vehicle or furniture."""
        ...


class Detector(Protocol):
    """GroundingDINO: where is the thing that a phrase names."""

    async def detect(self, image: Image, phrase: str) -> tuple[Detection, ...]:
        """Instances of `phrase`, best first, above the configured confidence, after NMS; boxes inside the image."""
        ...


class Segmenter(Protocol):
    """SAM: the silhouette of what is in a box."""

    async def segment(self, image: Image, detections: Sequence[Detection]) -> tuple[Mask, ...]:
        """One binary mask (0/255, size of `image`) per detection, same order."""
        ...


class PoseEstimator(Protocol):
    """DWPose's pose net."""

    async def estimate_pose(self, image: Image, people: Sequence[Detection]) -> tuple[Pose, ...]:
        """One pose per person box, same order; empty when there is nobody. Coordinates in pixels of `image`."""
        ...


class DepthEstimator(Protocol):
    """Depth-Anything V2."""

    async def estimate_depth(self, image: Image) -> DepthMap:
        """Relative depth of the size of `image`, 255 = nearest; a flat scene is all zeros."""
        ...


class Diffuser(Protocol):
    """The diffusion model behind its runner."""

    def diffuse(self, request: DiffusionRequest) -> AsyncGenerator[DiffusionProgress | DiffusionResult, None]:
        """Progress events, then exactly one result. Closing the iterator cancels the request at the next step."""
        ...


class ModelHealth(Protocol):
    """Whether the models behind the runners are loaded, for /health."""

    async def health(self) -> Mapping[str, object]:
        """Keys: ready (bool), models_loaded (list of names), gpu_available (bool), gpu_memory_free_mb (int)."""
        ...


class ImageCodec(Protocol):
    """Bytes <-> pixels. CPU-bound: called through threads."""

    def decode(self, data: bytes) -> Image:
        """Orientation applied, converted to sRGB, alpha over white.

        Raises: UnprocessableImage, PayloadTooLarge.
        """
        ...

    def measure(self, data: bytes) -> tuple[int, int]:
        """Width and height of what `decode` gives, known to succeed, but cheaper where the format allows.

        Raises: as `decode`.
        """
        ...

    def decode_mask(self, data: bytes) -> Mask:
        """Like `decode`, to one channel; white = repaint."""
        ...

    def encode(self, image: Image, output_format: OutputFormat) -> tuple[bytes, str]:
        """The encoded picture and its media type."""
        ...

    def encode_mask(self, mask: Mask) -> bytes:
        """A greyscale PNG."""
        ...


class Fetcher(Protocol):
    """The only way out to the network: guarded against private addresses, limited in size and time."""

    async def fetch(self, url: str) -> bytes:
        """Raises: UnprocessableUrl, PayloadTooLarge."""
        ...

    async def check(self, url: str) -> None:
        """Refuse a URL that could never be reached. Raises: UnprocessableUrl."""
        ...

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a webhook; the HTTP status. Raises: UnprocessableUrl."""
        ...


class BlobStore(Protocol):
    """Named bytes: job inputs and results."""

    async def put(self, data: bytes) -> str:
        """Store durably and give the key."""
        ...

    async def get(self, key: str) -> bytes:
        """Raises: NotFound."""
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete those that exist."""
        ...

    async def older_than(self, age_s: float) -> tuple[str, ...]:
        """Keys of blobs put at least `age_s` ago, for the clean-up of what a crash left behind."""
        ...


class JobStore(Protocol):
    """The durable record of jobs. Every method is atomic; only legal transitions happen."""

    async def open(self) -> None:
        """Before the first use. Raises: ConfigError when the place it keeps jobs in cannot be used."""
        ...

    async def close(self) -> None:
        """After the last use."""
        ...

    async def add(self, job: Job) -> Job:
        """Accept a job durably; for a known idempotency key the job that was accepted first.

        Raises: QueueFull, IdempotencyConflict, NotReady (the backend is away).
        """
        ...

    async def get(self, job_id: str) -> Job:
        """Raises: NotFound."""
        ...

    async def list(self, *, owner: str, status: JobStatus | None, limit: int, cursor: str | None) -> JobPage:
        """An owner's jobs, newest first. Raises: InvalidInput for a bad cursor."""
        ...

    async def claim(self, *, worker_id: str, lease_s: float) -> Claim | None:
        """Take the next job: interactive first, then FIFO. None when nothing waits."""
        ...

    async def heartbeat(self, claim: Claim, *, lease_s: float, progress: Progress | None) -> bool:
        """Renew the lease and record progress; True when the job should go on, False when cancelled or lost."""
        ...

    async def complete(self, claim: Claim, result: JobResult) -> bool:
        """Publish the result; False when the claim is no longer the newest (nothing is written)."""
        ...

    async def fail(self, claim: Claim, error: JobError, *, retry: bool, delay_s: float = 0.0) -> bool:
        """End or, with `retry` and attempts left, requeue after `delay_s`; False as for `complete`."""
        ...

    async def release(self, claim: Claim) -> bool:
        """Hand an unfinished job back (shutdown): pending again, the attempt not counted; an interactive one ends."""
        ...

    async def cancel(self, job_id: str) -> Job:
        """Idempotent. A pending job ends at once; a processing one is asked to stop, and ends for its owner at once."""
        ...

    async def sweep(self, *, result_ttl_s: float) -> tuple[Job, ...]:
        """Requeue or fail jobs whose lease lapsed, drop expired ones; the jobs that are gone or ended, for clean-up."""
        ...

    async def recover(self) -> tuple[Job, ...]:
        """What `sweep` does to lapsed leases, to every lease: for the start of the only process that runs jobs.

        Interactive jobs that wait are cancelled too: whoever waited for them is gone. Gives the jobs that ended.
        """
        ...

    async def counts(self) -> Mapping[JobStatus, int]:
        """Jobs per status."""
        ...

    async def append_event(self, job_id: str, type: str, data: Mapping[str, object]) -> JobEvent | None:
        """Add a preview to the job's stream (bounded; the oldest go first); None when the job has ended.

        Status and progress entries are added by the methods above, in the same step as the change itself.
        """
        ...

    async def events(self, job_id: str, *, after: int) -> tuple[JobEvent, ...]:
        """Entries with a sequence above `after`, in order."""
        ...

    async def due_deliveries(self, *, limit: int, hold_s: float) -> tuple[Delivery, ...]:
        """Webhooks to send now, each counted as tried and kept from other senders for `hold_s`."""
        ...

    async def postpone_delivery(self, delivery_id: str, *, delay_s: float) -> None:
        """Try it again later."""
        ...

    async def end_delivery(self, delivery_id: str) -> None:
        """It arrived, or it is given up."""
        ...

    async def garbage(self, *, limit: int) -> tuple[str, ...]:
        """Keys of blobs that no job needs any more, noted in the same step as the change that freed them."""
        ...

    async def forget_garbage(self, keys: Sequence[str]) -> None:
        """These blobs are deleted."""
        ...

    async def unreferenced(self, keys: Sequence[str]) -> tuple[str, ...]:
        """Those of `keys` that no job names and no garbage note names: left behind by a crash."""
        ...


class JobQueue(Protocol):
    """Accepts jobs and gets them run, whichever engine carries them."""

    async def start(self) -> None: ...

    async def stop(self, *, grace_s: float) -> None:
        """Accept nothing more; finish or hand back what runs within the grace time."""
        ...

    async def submit(self, job: Job) -> Job:
        """Accept a job with its input blobs, which are the queue's from here on: it deletes those of a refusal too.

        After NotReady the job may have been accepted; its blobs must not be touched.

        Raises: QueueFull, IdempotencyConflict, NotReady.
        """
        ...

    async def get(self, job_id: str, *, owner: str) -> Job:
        """Raises: NotFound, also for another owner's job."""
        ...

    async def list(self, *, owner: str, status: JobStatus | None, limit: int, cursor: str | None) -> JobPage: ...

    async def wait(self, job_id: str) -> Job:
        """Until the job is terminal."""
        ...

    async def cancel(self, job_id: str, *, owner: str) -> Job:
        """Raises: NotFound."""
        ...

    def events(self, job_id: str, *, owner: str, after: int) -> AsyncIterator[JobEvent]:
        """The job's stream from `after` on, live, ending with its terminal status. Raises: NotFound."""
        ...

    async def counts(self) -> Mapping[JobStatus, int]:
        """Jobs per status."""
        ...


ProgressListener = Callable[[Progress], None]
JobHandler = Callable[[Job, ProgressListener], Awaitable[JobResult]]
"""Runs one job to its result; raises a CompositionError to fail it, and stops when its task is cancelled."""
