"""Jobs as their callers see them: the queue, the blobs of their images, and what runs one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from composition.jobs import Job, JobEvent, JobPage, JobResult, JobStatus
from composition.result import Progress


class BlobStore(Protocol):
    """Named bytes: job inputs and results. Every method raises NotReady while the storage cannot be used."""

    async def open(self) -> None:
        """Before the first use. Raises: ConfigError when nothing can be kept in the place that was named."""
        ...

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


class JobQueue(Protocol):
    """Accepts jobs and gets them run, whichever engine carries them."""

    async def start(self) -> None: ...

    async def wind_down(self, *, grace_s: float) -> None:
        """Accept nothing more; finish or hand back what runs within the grace time; idempotent.

        Whoever waits for or follows a job that does not end here is told NotReady.
        """
        ...

    async def stop(self, *, grace_s: float) -> None:
        """Wind down, then close; nothing may be asked of it afterwards."""
        ...

    async def submit(self, job: Job) -> Job:
        """Accept a job with its input blobs, which are the queue's from here on: it deletes those of a refusal too.

        After NotReady the job may have been accepted; its blobs must not be touched. Once a job of a session is
        accepted, the older ones of its owner's session end.

        Raises: QueueFull, IdempotencyConflict, NotReady.
        """
        ...

    async def check_room(self) -> None:
        """Whether a job would be accepted now, to refuse it before it is read. Raises: QueueFull, NotReady."""
        ...

    async def get(self, job_id: str, *, owner: str) -> Job:
        """Raises: NotFound, also for another owner's job."""
        ...

    async def list(self, *, owner: str, status: JobStatus | None, limit: int, cursor: str | None) -> JobPage: ...

    async def wait(self, job_id: str) -> Job:
        """Until the job is terminal. Raises: NotReady when the service stops first."""
        ...

    async def cancel(self, job_id: str, *, owner: str) -> Job:
        """Raises: NotFound."""
        ...

    def events(self, job_id: str, *, owner: str, after: int) -> AsyncIterator[JobEvent]:
        """The job's stream from `after` on, live, ending with its terminal status. Raises: NotFound, NotReady."""
        ...

    async def counts(self) -> Mapping[JobStatus, int]:
        """Jobs per status. Raises: NotReady."""
        ...

    async def oldest_wait_s(self) -> float:
        """Seconds since the acceptance of the first accepted job that could start now; 0 when none waits.

        Raises: NotReady.
        """
        ...


ProgressListener = Callable[[Progress], None]


JobHandler = Callable[[Job, ProgressListener], Awaitable[JobResult]]
"""Runs one job to its result; raises a CompositionError to fail it, and stops when its task is cancelled."""
