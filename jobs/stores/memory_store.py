"""Jobs in this process's memory: for tests and for a service that keeps nothing across restarts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from composition.jobs import Job, JobEvent, JobStatus
from jobs.protocol import lifecycle
from jobs.protocol.claims import AT_ONCE, Delivery, delivery_due
from jobs.protocol.lifecycle import Change, Record
from jobs.stores.clocks import Monotonic
from jobs.stores.record_store import Changer, RecordJobStore, check_places, same_submission


class MemoryJobStore(RecordJobStore):
    """Nothing is awaited inside a method's critical part, so one event loop makes every method atomic."""

    def __init__(
        self,
        *,
        max_pending: int = 1000,
        clock: Callable[[], float] = time.time,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        super().__init__(max_pending=max_pending, monotonic=monotonic)
        self._clock = clock
        self._order = 0
        self._records: dict[str, Record] = {}
        self._events: dict[str, tuple[JobEvent, ...]] = {}
        self._accepted: dict[tuple[str, str], str] = {}
        self._deliveries: dict[str, tuple[float, Delivery]] = {}
        self._garbage: dict[str, None] = {}

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """What it holds ends with the process."""

    async def add(self, job: Job) -> Job:
        key = (job.owner, job.idempotency_key) if job.idempotency_key is not None else None
        if key in self._accepted:
            return same_submission(self._records[self._accepted[key]].job, job)
        check_places(await self._places_taken(), job.places, self._max_pending)
        self._order += 1
        change = lifecycle.admit(job, order=self._order, now=self._clock())
        self._write(change)
        if key is not None:
            self._accepted[key] = job.id
        return change.record.job

    async def events(self, job_id: str, *, after: int) -> tuple[JobEvent, ...]:
        return tuple(event for event in self._events.get(job_id, ()) if event.sequence > after)

    async def counts(self) -> Mapping[JobStatus, int]:
        counted = dict.fromkeys(JobStatus, 0)
        for record in self._records.values():
            counted[record.job.status] += 1
        return counted

    async def due_deliveries(self, *, limit: int, hold_s: float) -> tuple[Delivery, ...]:
        now = self._clock()
        due = [delivery for at, delivery in self._deliveries.values() if delivery_due(at, now)][:limit]
        tried = tuple(replace(delivery, attempts=delivery.attempts + 1) for delivery in due)
        self._deliveries |= {delivery.id: (now + hold_s, delivery) for delivery in tried}
        return tried

    async def postpone_delivery(self, delivery_id: str, *, delay_s: float) -> None:
        if delivery_id in self._deliveries:
            self._deliveries[delivery_id] = (self._clock() + delay_s, self._deliveries[delivery_id][1])

    async def end_delivery(self, delivery_id: str) -> None:
        self._deliveries.pop(delivery_id, None)

    async def garbage(self, *, limit: int) -> tuple[str, ...]:
        return tuple(self._garbage)[:limit]

    async def forget_garbage(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._garbage.pop(key, None)

    async def unreferenced(self, keys: Sequence[str]) -> tuple[str, ...]:
        named = set(self._garbage)
        for record in self._records.values():
            job = record.job
            named.update(lifecycle.result_keys(job) if job.status.terminal else job.working_keys)
        return tuple(key for key in keys if key not in named)

    async def _now(self) -> float:
        return self._clock()

    async def _places_taken(self) -> int:
        jobs = (record.job for record in self._records.values())
        return sum(job.places for job in jobs if job.status is JobStatus.PENDING)

    async def _load(self, job_id: str) -> Record | None:
        return self._records.get(job_id)

    async def _change(self, job_id: str, changer: Changer, *, durable: bool = True) -> Change | None:
        record = self._records.get(job_id)
        change = None if record is None else changer(record)
        if change is not None:
            self._write(change)
        return change

    async def _drop(self, job_id: str, condition: Callable[[Record], bool]) -> Job | None:
        record = self._records.get(job_id)
        if record is None or not condition(record):
            return None
        job = record.job
        del self._records[job_id]
        self._events.pop(job_id, None)
        if job.idempotency_key is not None:
            self._accepted.pop((job.owner, job.idempotency_key), None)
        self._garbage |= dict.fromkeys(lifecycle.result_keys(job))
        return job

    async def _waiting(self, now: float) -> str | None:
        due = self._due(now)
        return min(due, key=lambda r: (r.job.priority, r.order)).job.id if due else None

    async def _oldest_waiting(self, now: float) -> Job | None:
        due = self._due(now)
        return min(due, key=lambda r: r.order).job if due else None

    async def _leased(self) -> Mapping[str, float]:
        return {i: r.lease_until for i, r in self._records.items() if r.job.status is JobStatus.PROCESSING}

    async def _unfinished(self) -> tuple[str, ...]:
        return self._ids(lambda r: not r.job.status.terminal)

    async def _of_session(self, owner: str, session: str) -> Sequence[str]:
        found = self._ids(lambda r: (r.job.owner, r.job.session) == (owner, session) and not r.job.status.terminal)
        return sorted(found, key=lambda job_id: self._records[job_id].order)

    async def _finished_before(self, moment: float) -> tuple[str, ...]:
        return self._ids(lambda r: r.job.finished_at is not None and r.job.finished_at <= moment)

    async def _page(self, owner: str, status: JobStatus | None, limit: int, below: int | None) -> Sequence[Record]:
        newest_first = sorted(self._records.values(), key=lambda r: -r.order)
        found = [
            r
            for r in newest_first
            if r.job.owner == owner and status in (None, r.job.status) and (below is None or r.order < below)
        ]
        return found[:limit]

    def _due(self, now: float) -> Sequence[Record]:
        records = self._records.values()
        return [r for r in records if r.job.status is JobStatus.PENDING and lifecycle.due(r.not_before, now)]

    def _ids(self, condition: Callable[[Record], bool]) -> tuple[str, ...]:
        return tuple(job_id for job_id, record in self._records.items() if condition(record))

    def _write(self, change: Change) -> None:
        job_id = change.record.job.id
        self._records[job_id] = change.record
        stream = self._events.get(job_id, ())
        for event in change.events:
            stream = (*(old for old in stream if lifecycle.kept(old, newest=event)), event)
        self._events[job_id] = stream
        self._garbage |= dict.fromkeys(change.garbage)
        if change.delivery is not None:
            self._deliveries[change.delivery.id] = (AT_ONCE, change.delivery)
