"""A `JobQueue` in memory whose jobs end as the test says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace

from composition.errors import IdempotencyConflict, InvalidInput, NotFound
from composition.jobs import Job, JobError, JobEvent, JobPage, JobResult, JobStatus
from composition.ports.queue import BlobStore

Outcome = JobResult | JobError | JobStatus
"""A result, an error, CANCELLED, or PENDING for a job that never ends."""


class FakeJobQueue:
    """Ends every job at once with what `outcome` gives; owns a submission's images, as the port says.

    Attributes:
        jobs: by id, in the order of acceptance.
        cancelled: ids that were asked to be cancelled.
        refusal: raised by the next submissions when set.
        full: raised by the next look whether there is room when set.
        storage_fault: raised by `counts` and `oldest_wait_s` when set.
        waited_s: of the oldest job, when one waits.
        event_log: the events of each job, for `events`.
    """

    def __init__(self, outcome: Callable[[Job], Outcome] | None = None, *, blobs: BlobStore | None = None) -> None:
        self._outcome = outcome or (lambda job: JobStatus.PENDING)
        self._blobs = blobs
        self.jobs: dict[str, Job] = {}
        self.cancelled: list[str] = []
        self.refusal: Exception | None = None
        self.full: Exception | None = None
        self.storage_fault: Exception | None = None
        self.waited_s = 0.0
        self.event_log: dict[str, list[JobEvent]] = {}
        self.submitted = asyncio.Event()
        self._changed = asyncio.Condition()

    async def start(self) -> None:
        return

    async def wind_down(self, *, grace_s: float) -> None:
        return

    async def stop(self, *, grace_s: float) -> None:
        return

    async def submit(self, job: Job) -> Job:
        if self.refusal is not None:
            await self._discard_inputs(job)
            raise self.refusal
        for known in self.jobs.values():
            if job.idempotency_key and (known.owner, known.idempotency_key) == (job.owner, job.idempotency_key):
                await self._discard_inputs(job)
                if known.body_digest != job.body_digest:
                    raise IdempotencyConflict("this Idempotency-Key came with another request before")
                return known
        self.jobs[job.id] = job
        self.submitted.set()
        outcome = self._outcome(job)
        if isinstance(outcome, JobResult):
            self.jobs[job.id] = replace(job, status=JobStatus.COMPLETED, result=outcome, finished_at=job.created_at)
        elif isinstance(outcome, JobError):
            self.jobs[job.id] = replace(job, status=JobStatus.FAILED, error=outcome, finished_at=job.created_at)
        else:
            self.jobs[job.id] = replace(job, status=outcome)
        return job

    async def _discard_inputs(self, job: Job) -> None:
        if self._blobs is not None:
            await self._blobs.delete(job.payload.blob_keys)

    async def check_room(self) -> None:
        if self.full is not None:
            raise self.full

    async def get(self, job_id: str, *, owner: str) -> Job:
        job = self.jobs.get(job_id)
        if job is None or job.owner != owner:
            raise NotFound("there is no such job")
        return job

    async def list(self, *, owner: str, status: JobStatus | None, limit: int, cursor: str | None) -> JobPage:
        start = 0
        if cursor is not None:
            if not cursor.isdecimal():
                raise InvalidInput("the cursor is not one of ours")
            start = int(cursor)
        mine = [j for j in reversed(self.jobs.values()) if j.owner == owner and status in (None, j.status)]
        page = mine[start : start + limit]
        more = start + limit < len(mine)
        return JobPage(jobs=tuple(page), cursor=str(start + limit) if more else None)

    async def wait(self, job_id: str) -> Job:
        async with self._changed:
            await self._changed.wait_for(lambda: self.jobs[job_id].status.terminal)
        return self.jobs[job_id]

    async def counts(self) -> Mapping[JobStatus, int]:
        if self.storage_fault is not None:
            raise self.storage_fault
        return Counter(job.status for job in self.jobs.values())

    async def oldest_wait_s(self) -> float:
        if self.storage_fault is not None:
            raise self.storage_fault
        return self.waited_s if any(job.status is JobStatus.PENDING for job in self.jobs.values()) else 0.0

    async def cancel(self, job_id: str, *, owner: str) -> Job:
        job = await self.get(job_id, owner=owner)
        self.cancelled.append(job_id)
        if not job.status.terminal:
            self.jobs[job_id] = replace(job, status=JobStatus.CANCELLED)
        async with self._changed:
            self._changed.notify_all()
        return self.jobs[job_id]

    async def events(self, job_id: str, *, owner: str, after: int) -> AsyncIterator[JobEvent]:
        await self.get(job_id, owner=owner)
        for event in self.event_log.get(job_id, []):
            if event.sequence > after:
                yield event
