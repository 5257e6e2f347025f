"""The statements of `SqliteJobStore`: each function runs in its caller's transaction and thread.

`jobs.document` is the record; the other columns repeat what is looked up by.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace

from composition.jobs import Job, JobEvent, JobStatus
from jobs.protocol import lifecycle
from jobs.protocol.claims import AT_ONCE, MAX_POSTPONEMENT_S, Delivery
from jobs.protocol.documents import dump_event_data, dump_record, load_record
from jobs.protocol.lifecycle import Change, Record

_DUE = "(due_at <= ? OR due_at > ?)"
"""`delivery_due` of now and now + MAX_POSTPONEMENT_S."""
_WAITS = "status = 'pending' AND NOT (not_before > ? AND not_before <= ?)"
"""`lifecycle.due` of now and now + MAX_DELAY_S."""


def load(db: sqlite3.Connection, job_id: str) -> Record | None:
    row = db.execute("SELECT document FROM jobs WHERE id = ?", (job_id,)).fetchone()
    return None if row is None else load_record(row[0])


def accepted_before(db: sqlite3.Connection, job: Job) -> Record | None:
    """The job that the submission's idempotency key already stands for."""
    if job.idempotency_key is None:
        return None
    row = db.execute(
        "SELECT document FROM jobs WHERE owner = ? AND idempotency_key = ?", (job.owner, job.idempotency_key)
    ).fetchone()
    return None if row is None else load_record(row[0])


def next_order(db: sqlite3.Connection) -> int:
    """Never given twice, whatever is deleted."""
    row = db.execute("UPDATE counters SET value = value + 1 WHERE name = 'position' RETURNING value").fetchone()
    return int(row[0])


def write(db: sqlite3.Connection, change: Change) -> None:
    """A change with everything that belongs to it."""
    record, job = change.record, change.record.job
    db.execute(
        "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET status ="
        " excluded.status, not_before = excluded.not_before, lease_until = excluded.lease_until, finished_at ="
        " excluded.finished_at, document = excluded.document",
        (
            job.id, record.order, job.owner, job.status.value, int(job.priority), record.not_before,
            record.lease_until, job.finished_at, job.idempotency_key, dump_record(record), job.places,
        ),
    )  # fmt: skip
    for event in change.events:
        _append_event(db, event)
    if job.status is JobStatus.PENDING and job.attempt == 0:
        _name_blobs(db, job.id, job.payload.blob_keys)
    if job.checkpoint is not None:
        _name_blobs(db, job.id, job.checkpoint.blob_keys)
    if job.status.terminal:
        db.execute("DELETE FROM job_blobs WHERE job_id = ?", (job.id,))
        _name_blobs(db, job.id, lifecycle.result_keys(job))
    _add_garbage(db, change.garbage)
    if (owed := change.delivery) is not None:
        db.execute(
            "INSERT INTO deliveries VALUES (?, ?, ?, ?, ?, ?)",
            (owed.id, owed.job_id, owed.url, owed.body, owed.attempts, AT_ONCE),
        )


def drop(db: sqlite3.Connection, record: Record) -> None:
    """The job, its stream and its key go; its result's blobs become garbage."""
    job = record.job
    db.execute("DELETE FROM jobs WHERE id = ?", (job.id,))
    db.execute("DELETE FROM events WHERE job_id = ?", (job.id,))
    db.execute("DELETE FROM job_blobs WHERE job_id = ?", (job.id,))
    _add_garbage(db, lifecycle.result_keys(job))


def waiting(db: sqlite3.Connection, now: float) -> str | None:
    query = f"SELECT id FROM jobs WHERE {_WAITS} ORDER BY priority, position LIMIT 1"  # noqa: S608
    return _first(db, query, now, now + lifecycle.MAX_DELAY_S)


def oldest_waiting(db: sqlite3.Connection, now: float) -> Job | None:
    query = f"SELECT document FROM jobs WHERE {_WAITS} ORDER BY position LIMIT 1"  # noqa: S608
    document = _first(db, query, now, now + lifecycle.MAX_DELAY_S)
    return None if document is None else load_record(document).job


def leased(db: sqlite3.Connection) -> Mapping[str, float]:
    return dict(db.execute("SELECT id, lease_until FROM jobs WHERE status = 'processing'"))


def unfinished(db: sqlite3.Connection) -> tuple[str, ...]:
    """Jobs that may change at a restart: what runs, and what somebody waited for."""
    return _column(db, "SELECT id FROM jobs WHERE status = 'processing' OR (status = 'pending' AND priority = 0)")


def of_session(db: sqlite3.Connection, owner: str, session: str) -> tuple[str, ...]:
    """Those that have not ended are few enough to look into: at most as many as may wait and run."""
    query = (
        "SELECT id FROM jobs WHERE owner = ? AND status IN ('pending', 'processing')"
        " AND json_extract(document, '$.session') = ? ORDER BY position"
    )
    return _column(db, query, owner, session)


def finished_before(db: sqlite3.Connection, moment: float) -> tuple[str, ...]:
    return _column(db, "SELECT id FROM jobs WHERE finished_at <= ? ORDER BY finished_at LIMIT 500", moment)


def page(
    db: sqlite3.Connection, owner: str, status: JobStatus | None, limit: int, below: int | None
) -> Sequence[Record]:
    clauses: list[str] = ["owner = ?"]
    values: list[object] = [owner]
    if status is not None:
        clauses.append("status = ?")
        values.append(status.value)
    if below is not None:
        clauses.append("position < ?")
        values.append(below)
    query = f"SELECT document FROM jobs WHERE {' AND '.join(clauses)} ORDER BY position DESC LIMIT ?"  # noqa: S608
    return [load_record(row[0]) for row in db.execute(query, (*values, limit))]


def places_taken(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT COALESCE(SUM(places), 0) FROM jobs WHERE status = 'pending'").fetchone()[0])


def counts(db: sqlite3.Connection) -> Mapping[JobStatus, int]:
    found = dict(db.execute("SELECT status, COUNT(*) FROM jobs GROUP BY status"))
    return {status: found.get(status.value, 0) for status in JobStatus}


def events(db: sqlite3.Connection, job_id: str, after: int) -> tuple[JobEvent, ...]:
    rows = db.execute(
        "SELECT sequence, type, data FROM events WHERE job_id = ? AND sequence > ? ORDER BY sequence", (job_id, after)
    )
    return tuple(JobEvent(job_id=job_id, sequence=row[0], type=row[1], data=json.loads(row[2])) for row in rows)


def any_delivery_due(db: sqlite3.Connection, now: float) -> bool:
    query = f"SELECT 1 FROM deliveries WHERE {_DUE} LIMIT 1"  # noqa: S608
    return db.execute(query, (now, now + MAX_POSTPONEMENT_S)).fetchone() is not None


def take_deliveries(db: sqlite3.Connection, *, now: float, limit: int, until: float) -> tuple[Delivery, ...]:
    """Due webhooks, counted as tried and hidden until `until`."""
    query = f"SELECT id, job_id, url, body, attempts FROM deliveries WHERE {_DUE} ORDER BY due_at LIMIT ?"  # noqa: S608
    rows = db.execute(query, (now, now + MAX_POSTPONEMENT_S, limit)).fetchall()
    db.executemany(
        "UPDATE deliveries SET attempts = attempts + 1, due_at = ? WHERE id = ?", [(until, row[0]) for row in rows]
    )
    due = (Delivery(id=row[0], job_id=row[1], url=row[2], body=row[3], attempts=row[4]) for row in rows)
    return tuple(replace(delivery, attempts=delivery.attempts + 1) for delivery in due)


def postpone_delivery(db: sqlite3.Connection, delivery_id: str, at: float) -> None:
    db.execute("UPDATE deliveries SET due_at = ? WHERE id = ?", (at, delivery_id))


def end_delivery(db: sqlite3.Connection, delivery_id: str) -> None:
    db.execute("DELETE FROM deliveries WHERE id = ?", (delivery_id,))


def garbage(db: sqlite3.Connection, limit: int) -> tuple[str, ...]:
    return _column(db, "SELECT key FROM garbage LIMIT ?", limit)


def forget_garbage(db: sqlite3.Connection, keys: Sequence[str]) -> None:
    db.executemany("DELETE FROM garbage WHERE key = ?", [(key,) for key in keys])


def unreferenced(db: sqlite3.Connection, keys: Sequence[str]) -> tuple[str, ...]:
    query = "SELECT 1 FROM job_blobs WHERE key = ? UNION SELECT 1 FROM garbage WHERE key = ?"
    return tuple(key for key in keys if db.execute(query, (key, key)).fetchone() is None)


def _append_event(db: sqlite3.Connection, event: JobEvent) -> None:
    db.execute(
        "DELETE FROM events WHERE job_id = ? AND type = 'progress' AND sequence <= ?",
        (event.job_id, event.sequence - lifecycle.MAX_PROGRESS_EVENTS),
    )
    if event.type == "preview":
        db.execute("DELETE FROM events WHERE job_id = ? AND type = 'preview'", (event.job_id,))
    db.execute(
        "INSERT INTO events VALUES (?, ?, ?, ?)", (event.job_id, event.sequence, event.type, dump_event_data(event))
    )


def _name_blobs(db: sqlite3.Connection, job_id: str, keys: Sequence[str]) -> None:
    db.executemany("INSERT OR IGNORE INTO job_blobs VALUES (?, ?)", [(key, job_id) for key in keys])


def _add_garbage(db: sqlite3.Connection, keys: Sequence[str]) -> None:
    db.executemany("INSERT OR IGNORE INTO garbage VALUES (?)", [(key,) for key in keys])


def _first(db: sqlite3.Connection, query: str, *values: object) -> str | None:
    row = db.execute(query, values).fetchone()
    return None if row is None else str(row[0])


def _column(db: sqlite3.Connection, query: str, *values: object) -> tuple[str, ...]:
    return tuple(row[0] for row in db.execute(query, values))
