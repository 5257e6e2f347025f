"""The `JobStore` port over a handful of primitives: what the memory, SQLite and Redis stores have in common.

A concrete store provides atomic load-change-write of one record and a few ordered look-ups; the rules are those of
`jobs.protocol.lifecycle`. Look-ups may be stale: every change checks its condition again inside the atomic step.
"""

from __future__ import annotations

import base64
import binascii
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from composition.errors import IdempotencyConflict, InvalidInput, NotFound, QueueFull
from composition.jobs import Job, JobError, JobEvent, JobPage, JobResult, JobStatus
from composition.result import Progress
from jobs.protocol import lifecycle
from jobs.protocol.claims import Claim
from jobs.protocol.job_store import JobStore
from jobs.protocol.lifecycle import Change, Record
from jobs.stores.clocks import AgeClock, LeaseWatch, Monotonic

Changer: TypeAlias = Callable[[Record], Change | None]


class RecordJobStore(JobStore, ABC):
    """The rules of a job store; its subclasses hold the records, the blobs' names and the webhooks owed.

    Times in records are UTC. The clock that gives them may be set while jobs run: leases are judged by watching
    (`LeaseWatch`), a delay is at most MAX_DELAY_S whatever the clock shows, and a step forward expires no result
    (`AgeClock`). So a step neither ends a job, nor starts one twice, nor keeps one from starting.
    """

    def __init__(self, *, max_pending: int, monotonic: Monotonic = time.monotonic) -> None:
        self._max_pending = max_pending
        self._leases = LeaseWatch(monotonic)
        self._ages = AgeClock(monotonic)

    @abstractmethod
    async def _now(self) -> float:
        """UTC seconds by the clock that all users of the store share."""

    @abstractmethod
    async def _load(self, job_id: str) -> Record | None: ...

    @abstractmethod
    async def _change(self, job_id: str, changer: Changer, *, durable: bool = True) -> Change | None:
        """Load, apply, write, in one atomic step; None when the job is gone or `changer` gave None.

        Without `durable` the change may be lost in a power failure (not in a crash of the process).
        """

    @abstractmethod
    async def _drop(self, job_id: str, condition: Callable[[Record], bool]) -> Job | None:
        """Delete the record, its events and its idempotency key, noting the result's blobs as garbage."""

    @abstractmethod
    async def _waiting(self, now: float) -> str | None:
        """The pending job that is due and first: by priority, then order."""

    @abstractmethod
    async def _oldest_waiting(self, now: float) -> Job | None:
        """Of the pending jobs that are due the one that was accepted first, whatever its priority."""

    @abstractmethod
    async def _leased(self) -> Mapping[str, float]:
        """Every processing job with the end of its lease."""

    async def _abandoned(self) -> Sequence[str]:
        """Interactive jobs that nobody waits for any more; a store of one process learns of that by `cancel`."""
        return ()

    @abstractmethod
    async def _unfinished(self) -> tuple[str, ...]:
        """Every pending or processing job."""

    @abstractmethod
    async def _of_session(self, owner: str, session: str) -> Sequence[str]:
        """The owner's jobs of a session that have not ended, in the order of their acceptance."""

    @abstractmethod
    async def _finished_before(self, moment: float) -> tuple[str, ...]: ...

    @abstractmethod
    async def _page(self, owner: str, status: JobStatus | None, limit: int, below: int | None) -> Sequence[Record]:
        """At most `limit` records of an owner with an order under `below`, newest first."""

    @abstractmethod
    async def _places_taken(self) -> int:
        """`Job.places` of all pending jobs together."""

    async def check_room(self) -> None:
        check_places(await self._places_taken(), 1, self._max_pending)

    async def oldest_wait_s(self) -> float:
        now = await self._now()
        oldest = await self._oldest_waiting(now)
        return 0.0 if oldest is None else max(0.0, now - oldest.created_at)

    async def get(self, job_id: str) -> Job:
        record = await self._load(job_id)
        if record is None:
            raise NotFound("there is no such job", details={"job_id": job_id})
        return record.job

    async def list(self, *, owner: str, status: JobStatus | None, limit: int, cursor: str | None) -> JobPage:
        below = None if cursor is None else _order_of(cursor)
        found = await self._page(owner, status, limit + 1, below)
        shown = found[:limit]
        more = _cursor_of(shown[-1].order) if len(found) > limit else None
        return JobPage(jobs=tuple(record.job for record in shown), cursor=more)

    async def claim(self, *, worker_id: str, lease_s: float) -> Claim | None:
        refused: set[str] = set()
        while True:
            now = await self._now()
            job_id = await self._waiting(now)
            if job_id is None or job_id in refused:
                return None
            start = partial(lifecycle.claim, worker_id=worker_id, lease_s=lease_s, now=now)
            change = await self._change(job_id, start, durable=False)
            if change is not None:
                self._leases.renewed(job_id, change.record.lease_until)
                return Claim(job=change.record.job, worker_id=worker_id, token=change.record.token)
            refused.add(job_id)

    async def heartbeat(self, claim: Claim, *, lease_s: float, progress: Progress | None) -> bool:
        now = await self._now()
        beat = partial(lifecycle.heartbeat, token=claim.token, lease_s=lease_s, progress=progress, now=now)
        change = await self._change(claim.job.id, beat, durable=False)
        if change is not None:
            self._leases.renewed(claim.job.id, change.record.lease_until)
        return change is not None

    async def complete(self, claim: Claim, result: JobResult) -> bool:
        now = await self._now()
        publish = partial(lifecycle.complete, token=claim.token, result=result, now=now)
        if await self._changed(claim.job.id, publish):
            return True
        record = await self._load(claim.job.id)
        return record is not None and record.token == claim.token and record.job.result == result

    async def fail(self, claim: Claim, error: JobError, *, retry: bool, delay_s: float = 0.0) -> bool:
        now = await self._now()
        return await self._changed(
            claim.job.id,
            lambda record: lifecycle.fail(
                record, token=claim.token, error=error, retry=retry, delay_s=delay_s, now=now
            ),
        )

    async def release(self, claim: Claim) -> bool:
        now = await self._now()
        return await self._changed(claim.job.id, lambda record: lifecycle.release(record, token=claim.token, now=now))

    async def interrupt(self, claim: Claim, error: JobError, *, delay_s: float, endless: bool = False) -> bool:
        change = partial(
            lifecycle.interrupt,
            token=claim.token, error=error, delay_s=delay_s, endless=endless, now=await self._now(),
        )  # fmt: skip
        return await self._changed(claim.job.id, change)

    async def cancel(self, job_id: str) -> Job:
        now = await self._now()
        change = await self._change(job_id, lambda record: lifecycle.cancel(record, now=now))
        return change.record.job if change else await self.get(job_id)

    async def supersede(self, newest: Job) -> tuple[Job, ...]:
        assert newest.session is not None
        line, now = await self._of_session(newest.owner, newest.session), await self._now()
        changes = [
            await self._change(job_id, partial(lifecycle.supersede, by=line[-1], now=now)) for job_id in line[:-1]
        ]
        return tuple(change.record.job for change in changes if change is not None)

    async def sweep(self, *, result_ttl_s: float) -> tuple[Job, ...]:
        now = await self._now()
        ended = [*await self._lapse_silent(now), *await self._abandon(await self._abandoned(), now)]
        oldest = self._ages.without_steps(now, within_s=result_ttl_s) - result_ttl_s
        gone = [
            await self._drop(job_id, lambda record: (record.job.finished_at or now) <= oldest)
            for job_id in await self._finished_before(oldest)
        ]
        return (*ended, *(job for job in gone if job is not None))

    async def recover(self) -> tuple[Job, ...]:
        return tuple(await self._abandon(await self._unfinished(), await self._now()))

    async def append_event(self, job_id: str, type: str, data: Mapping[str, object]) -> JobEvent | None:
        change = await self._change(
            job_id,
            lambda record: None if record.job.status.terminal else lifecycle.append(record, type, data),
            durable=False,
        )
        if change is None:
            await self.get(job_id)
            return None
        return change.events[-1]

    async def _changed(self, job_id: str, changer: Changer, *, durable: bool = True) -> bool:
        return await self._change(job_id, changer, durable=durable) is not None

    async def _lapse_silent(self, now: float) -> Sequence[Job]:
        leases = await self._leased()
        changes = [
            await self._change(job_id, partial(lifecycle.lapse, seen_until=leases[job_id], silent_s=silent_s, now=now))
            for job_id, silent_s in self._leases.silences(leases).items()
        ]
        return _ended(changes)

    async def _abandon(self, job_ids: Sequence[str], now: float) -> Sequence[Job]:
        return _ended([await self._change(job_id, partial(lifecycle.abandon, now=now)) for job_id in job_ids])


def _ended(changes: Sequence[Change | None]) -> Sequence[Job]:
    return [change.record.job for change in changes if change is not None and change.record.job.status.terminal]


def same_submission(accepted: Job, job: Job) -> Job:
    """The job that an idempotency key stands for. Raises: IdempotencyConflict when the body differs."""
    if accepted.body_digest != job.body_digest:
        raise IdempotencyConflict("this Idempotency-Key was used with another body")
    return accepted


def check_places(taken: int, needed: int, max_pending: int) -> None:
    """Raises: QueueFull; never where nothing waits."""
    if taken > 0 and taken + needed > max_pending:
        raise queue_full(taken)


def queue_full(pending: int) -> QueueFull:
    """The refusal of a job that the bounded queue has no room for."""
    return QueueFull("too many jobs are waiting", details={"pending": pending}, retry_after_s=10)


def _cursor_of(order: int) -> str:
    return base64.urlsafe_b64encode(f"1:{order}".encode()).decode().rstrip("=")


def _order_of(cursor: str) -> int:
    try:
        version, _, order = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").partition(":")
        if version == "1" and order.isdecimal() and len(order) < 19:
            return int(order)
    except (binascii.Error, ValueError):
        pass
    raise InvalidInput("cursor is not one that this service gave", details={"field": "cursor"})
