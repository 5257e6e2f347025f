"""What may happen to a job, as pure functions: every store loads a record, applies one of these, and writes the change.

One account of the rules for all stores: legal transitions only, fencing by token, attempts counted, the event stream,
the webhook and the freed blobs noted in the same step as the change that caused them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from composition.errors import Superseded
from composition.jobs import Job, JobError, JobEvent, JobResult, JobStatus, Priority
from composition.result import Progress
from jobs.protocol.claims import Delivery

MAX_PROGRESS_EVENTS = 256
"""Progress entries further than this behind the newest entry are dropped."""

MAX_INTERRUPTIONS = 50
"""So often an attempt may end with its machine and not count; with the delays that is about four hours.

Without an end, a job that brings down whatever runs it would do so for ever.
"""
MAX_DELAY_S = 300.0
"""The longest that a job waits to be tried again. One that has longer to wait was written by a clock that has been set
back since: it is due.
"""

LEGAL_TRANSITIONS: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.PENDING: frozenset({JobStatus.PROCESSING, JobStatus.CANCELLED, JobStatus.FAILED}),
    JobStatus.PROCESSING: frozenset({JobStatus.PENDING, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.COMPLETED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}
"""PROCESSING -> PENDING is a retry or a hand-back; everything else ends the job."""

_DELIVERY_NAMESPACE = uuid.UUID("6f0f7b0c-5f7e-4b0c-9b59-0d7f5c7d9a31")


@dataclass(frozen=True, kw_only=True)
class Record:
    """A job with what only its store needs to know.

    Attributes:
        order: rises with every accepted job; the queue's FIFO and the listing's order.
        token: rises with every claim; only the holder of the newest may publish (fencing).
        lease_until: UTC seconds, other ones with every renewal. It tells one renewal from the next and a reader when to
            expect it; that a worker is lost is judged by how long it stays the same (`lapse`), as clocks are set.
        lease_s: how long that may be.
        not_before: UTC seconds; a pending job does not start before (retry delay), see `due`.
        interruptions: how many of its attempts do not count, as their worker, its runner or a storage was lost.
        outages: how many of those a storage was lost in: they may go on for ever, as the job can do nothing for it.
        last_sequence: of the newest event.
        unread: what a version of the service that knows more wrote and this one could not read; kept as it is.
    """

    job: Job
    order: int
    token: int = 0
    worker_id: str = ""
    lease_until: float = 0.0
    lease_s: float = 15.0
    not_before: float = 0.0
    interruptions: int = 0
    outages: int = 0
    last_sequence: int = 0
    unread: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a store writes in one atomic step."""

    record: Record
    events: tuple[JobEvent, ...] = ()
    garbage: tuple[str, ...] = ()
    delivery: Delivery | None = None


def admit(job: Job, *, order: int, now: float) -> Change:
    """A new job, pending whatever the caller filled in."""
    fresh = replace(
        job, status=JobStatus.PENDING, attempt=0, progress=0.0, stage="", created_at=now,
        finished_at=None, result=None, error=None, cancel_requested=False, checkpoint=None,
    )  # fmt: skip
    return _with_status_event(Record(job=fresh, order=order))


def due(not_before: float, now: float) -> bool:
    """Whether a delay is over, by a clock that may have been set: none is ever longer than MAX_DELAY_S."""
    return not now < not_before <= now + MAX_DELAY_S


def claim(record: Record, *, worker_id: str, lease_s: float, now: float) -> Change | None:
    """Start an attempt; None when the job does not wait (any more)."""
    if record.job.status is not JobStatus.PENDING or not due(record.not_before, now):
        return None
    held = replace(
        record, token=record.token + 1, worker_id=worker_id, lease_until=now + lease_s, lease_s=lease_s,
        job=replace(record.job, attempt=record.job.attempt + 1, progress=0.0, stage=""),
    )  # fmt: skip
    return _move(held, JobStatus.PROCESSING, now)


def heartbeat(record: Record, *, token: int, lease_s: float, progress: Progress | None, now: float) -> Change | None:
    """Renew the lease; progress never falls within an attempt. None when the claim is no longer the newest."""
    if not _holds(record, token):
        return None
    renewed = replace(record, lease_until=now + lease_s, lease_s=lease_s)
    if progress is None:
        return Change(record=renewed)
    fraction = max(renewed.job.progress, min(progress.fraction, 1.0))
    checkpoint = progress.checkpoint or renewed.job.checkpoint
    job = replace(renewed.job, progress=fraction, stage=progress.stage, checkpoint=checkpoint)
    data = {
        "stage": progress.stage,
        "progress": fraction,
        "step": progress.step,
        "total_steps": progress.total_steps,
        "attempt": job.attempt,
    }
    if progress.candidate_steps:
        data["candidate_steps"] = list(progress.candidate_steps)
    return append(replace(renewed, job=job), "progress", data)


def complete(record: Record, *, token: int, result: JobResult, now: float) -> Change | None:
    """Publish; None when the claim is no longer the newest."""
    if not _holds(record, token):
        return None
    return _move(replace(record, job=replace(record.job, result=result, progress=1.0)), JobStatus.COMPLETED, now)


def fail(record: Record, *, token: int, error: JobError, retry: bool, delay_s: float, now: float) -> Change | None:
    """End, or requeue when `retry` and attempts are left. None when the claim is no longer the newest."""
    if not _holds(record, token):
        return None
    if retry and record.job.attempt - record.interruptions < record.job.max_attempts:
        return _requeue(record, now, not_before=now + min(delay_s, MAX_DELAY_S))
    return _move(replace(record, job=replace(record.job, error=error)), JobStatus.FAILED, now)


def release(record: Record, *, token: int, now: float) -> Change | None:
    """Hand back without counting the attempt; nobody waits for an interactive job any more, so it ends."""
    if not _holds(record, token):
        return None
    if record.job.priority is Priority.INTERACTIVE:
        return _end_unasked(record, now, "the service shut down before the job ended")
    uncounted = replace(record, job=replace(record.job, attempt=record.job.attempt - 1))
    return _requeue(uncounted, now, not_before=0.0)


def interrupt(
    record: Record, *, token: int, error: JobError, delay_s: float, now: float, endless: bool = False
) -> Change | None:
    """Requeue without counting the attempt, after a delay that doubles each time: the machine failed, not the job.

    Ends with `error` after MAX_INTERRUPTIONS that are not `endless`, and an interactive job at once. None when the
    claim is no longer the newest.
    """
    if not _holds(record, token):
        return None
    return _interrupt(record, error, now, delay_s=delay_s, outages=int(endless))


def cancel(record: Record, *, now: float) -> Change | None:
    """End for the owner at once, whoever runs it; None when it has ended already."""
    if record.job.status.terminal:
        return None
    return _move(replace(record, job=replace(record.job, cancel_requested=True)), JobStatus.CANCELLED, now)


def supersede(record: Record, *, by: str, now: float) -> Change | None:
    """End, whoever runs it, as the job `by` is a newer one of its session; None when it has ended already."""
    if record.job.status.terminal:
        return None
    error = JobError(code=Superseded.code, message=Superseded.MESSAGE, details={"superseded_by": by})
    return _move(replace(record, job=replace(record.job, cancel_requested=True, error=error)), JobStatus.CANCELLED, now)


def lapse(record: Record, *, seen_until: float, silent_s: float, now: float) -> Change | None:
    """What becomes of a job whose worker died; None when it did not.

    Somebody has seen `lease_until` at `seen_until` for `silent_s` seconds, by a clock that is never set: on whatever
    machine that is, and whatever its time of day or the store's is set to meanwhile, the worker did not speak.
    """
    if record.lease_until != seen_until or silent_s < record.lease_s:
        return None
    return _lose_worker(record, now)


def abandon(record: Record, *, now: float) -> Change | None:
    """What becomes of a job when every worker is dead and nobody waits for interactive ones; None for one that waits.

    So it is at the start of the only process that runs jobs.
    """
    if record.job.status is JobStatus.PENDING and record.job.priority is Priority.INTERACTIVE:
        return _end_unasked(record, now, "the service restarted before the job ran")
    return _lose_worker(record, now)


def _lose_worker(record: Record, now: float) -> Change | None:
    job = record.job
    if job.status is not JobStatus.PROCESSING:
        return None
    if job.priority is Priority.INTERACTIVE:
        return _end_unasked(record, now, "the worker died while the job ran")
    error = JobError(code="INTERNAL", message="every worker that ran the job died", details={"attempts": job.attempt})
    return _interrupt(record, error, now, delay_s=0.0)


def append(record: Record, type: str, data: Mapping[str, Any]) -> Change:
    """One more entry of the job's stream."""
    sequence = record.last_sequence + 1
    event = JobEvent(job_id=record.job.id, sequence=sequence, type=type, data=data)
    return Change(record=replace(record, last_sequence=sequence), events=(event,))


def kept(event: JobEvent, *, newest: JobEvent) -> bool:
    """Whether an older entry stays once `newest` is added: every status, recent progress, only the last preview."""
    if event.type == "preview":
        return newest.type != "preview"
    return event.type == "status" or event.sequence > newest.sequence - MAX_PROGRESS_EVENTS


def result_keys(job: Job) -> tuple[str, ...]:
    """The blobs that go when the job is dropped."""
    return () if job.result is None else job.result.blob_keys


def _holds(record: Record, token: int) -> bool:
    return record.token == token and record.job.status is JobStatus.PROCESSING


def _requeue(record: Record, now: float, *, not_before: float) -> Change:
    reset = replace(record.job, progress=0.0, stage="")
    return _move(replace(record, job=reset, not_before=not_before), JobStatus.PENDING, now)


def _interrupt(record: Record, error: JobError, now: float, *, delay_s: float, outages: int = 0) -> Change:
    too_often = record.interruptions - record.outages >= MAX_INTERRUPTIONS and not outages
    if record.job.priority is Priority.INTERACTIVE or too_often:
        return _move(replace(record, job=replace(record.job, error=error)), JobStatus.FAILED, now)
    delay_s = min(delay_s * 2.0 ** min(record.interruptions, MAX_INTERRUPTIONS), MAX_DELAY_S)
    lost = replace(record, interruptions=record.interruptions + 1, outages=record.outages + outages)
    return _requeue(lost, now, not_before=now + delay_s)


def _end_unasked(record: Record, now: float, why: str) -> Change:
    """An interactive job that this service did not end: its caller may ask again."""
    error = JobError(code="NOT_READY", message=why)
    return _move(replace(record, job=replace(record.job, error=error)), JobStatus.FAILED, now)


def _move(record: Record, status: JobStatus, now: float) -> Change:
    assert status in LEGAL_TRANSITIONS[record.job.status], f"{record.job.status} -> {status}"
    job = replace(record.job, status=status, finished_at=now if status.terminal else None)
    holder = record.worker_id if status is JobStatus.PROCESSING else ""
    change = _with_status_event(replace(record, job=job, worker_id=holder))
    if not status.terminal:
        return change
    return replace(change, garbage=job.working_keys, delivery=_delivery(job) if job.callback_url else None)


def _with_status_event(record: Record) -> Change:
    job = record.job
    data: dict[str, Any] = {"status": job.status.value, "progress": job.progress, "attempt": job.attempt}
    if job.error is not None:
        data |= {"error": job.error.message, "error_code": job.error.code}
    return append(record, "status", data)


def _delivery(job: Job) -> Delivery:
    assert job.callback_url is not None
    delivery_id = str(uuid.uuid5(_DELIVERY_NAMESPACE, job.id))
    data: dict[str, Any] = {
        "job_id": job.id,
        "kind": job.kind.value,
        "status": job.status.value,
        "attempt": job.attempt,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        "result": dict(job.result.account) if job.result else None,
        "error": job.error.message if job.error else None,
        "error_code": job.error.code if job.error else None,
    }
    body = json.dumps({"id": delivery_id, "type": f"job.{job.status.value}", "data": data})
    return Delivery(id=delivery_id, job_id=job.id, url=job.callback_url, body=body)
