"""The port that every job store implements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from composition.jobs import Job, JobError, JobEvent, JobPage, JobResult, JobStatus
from composition.result import Progress
from jobs.protocol.claims import Claim, Delivery


class JobStore(Protocol):
    """The durable record of jobs. Every method is atomic; only legal transitions happen.

    Every method raises NotReady while the backend is away or closed.
    """

    async def open(self) -> None:
        """Before the first use. Raises: ConfigError when the place it keeps jobs in cannot be used."""
        ...

    async def close(self) -> None:
        """After the last use."""
        ...

    async def add(self, job: Job) -> Job:
        """Accept a job durably; for a known idempotency key the job that was accepted first.

        It takes `Job.places` of the places for waiting jobs; one that needs more than there are waits alone.

        Raises: QueueFull, IdempotencyConflict.
        """
        ...

    async def check_room(self) -> None:
        """Whether `add` would take a job now. Raises: QueueFull, NotReady."""
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
        """Publish the result; False when the claim is no longer the newest (nothing is written).

        True again for a repeat, whose first reply may have been lost.
        """
        ...

    async def fail(self, claim: Claim, error: JobError, *, retry: bool, delay_s: float = 0.0) -> bool:
        """End or, with `retry` and attempts left, requeue after `delay_s`; False as for `complete`."""
        ...

    async def release(self, claim: Claim) -> bool:
        """Hand an unfinished job back (shutdown): pending again, the attempt not counted; an interactive one ends."""
        ...

    async def interrupt(self, claim: Claim, error: JobError, *, delay_s: float, endless: bool = False) -> bool:
        """Pending again after a delay, the attempt not counted: the machine failed, not the job.

        After very many times it ends with `error`, unless `endless`, an interactive one at once; False as for
        `complete`.
        """
        ...

    async def cancel(self, job_id: str) -> Job:
        """Idempotent. A pending job ends at once; a processing one is asked to stop, and ends for its owner at once.

        Raises: NotFound.
        """
        ...

    async def supersede(self, newest: Job) -> tuple[Job, ...]:
        """Of a session only the job that was accepted last goes on; those that end, as by `cancel`, for it.

        `newest` is an accepted job of a session: of its owner and session every other one that has not ended ends.
        Where one was accepted after it, it ends itself.
        """
        ...

    async def sweep(self, *, result_ttl_s: float) -> tuple[Job, ...]:
        """Requeue or fail jobs whose lease lapsed, drop expired ones; the jobs that are gone or ended, for clean-up."""
        ...

    async def recover(self) -> tuple[Job, ...]:
        """What `sweep` does to lapsed leases, to every lease: for the start of the only process that runs jobs.

        Interactive jobs that wait end too: whoever waited for them is gone. Gives the jobs that ended.
        """
        ...

    async def counts(self) -> Mapping[JobStatus, int]:
        """Jobs per status."""
        ...

    async def oldest_wait_s(self) -> float:
        """Seconds since the acceptance of the first accepted job that could start now; 0 when none waits.

        By the clock that gives records their times: a step of it shows. One that is to be tried again later does not
        count until then.
        """
        ...

    async def append_event(self, job_id: str, type: str, data: Mapping[str, object]) -> JobEvent | None:
        """Add a preview to the job's stream (bounded; the oldest go first); None when the job has ended.

        Status and progress entries are added by the methods above, in the same step as the change itself.
        Raises: NotFound.
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
