"""Records as JSON text, for the stores that keep them outside this process."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

from composition.jobs import EditPayload, Job, JobError, JobEvent, JobKind, JobResult, JobStatus, Priority
from jobs.protocol.lifecycle import Record

_PLAIN = tuple(
    f.name
    for f in fields(Job)
    if f.name not in ("kind", "priority", "payload", "status", "result", "error")
)  # fmt: skip
_RECORD = tuple(f.name for f in fields(Record) if f.name not in ("job", "unread"))
UNREADABLE = -1
"""The schema version, in this process, of a job that another version of the service wrote: no worker here runs it."""


def dump_record(record: Record) -> str:
    """The record as JSON; `load_record` is its inverse."""
    job = record.job
    document: dict[str, Any] = {name: getattr(job, name) for name in _PLAIN}
    document |= {
        "kind": job.kind.value,
        "priority": int(job.priority),
        "status": job.status.value,
        "payload": job.payload.to_document(),
        "result": asdict(job.result) if job.result else None,
        "error": asdict(job.error) if job.error else None,
        "record": {name: getattr(record, name) for name in _RECORD},
    }
    document |= record.unread or {}
    return json.dumps(document, separators=(",", ":"))


def load_record(text: str | bytes) -> Record:
    """Read a document, also one whose payload only a later version understands; its job is `UNREADABLE`.

    Raises:
        KeyError, TypeError, ValueError: what every version writes is missing.
    """
    document = json.loads(text)
    inner = document.pop("record")
    unread = None
    try:
        payload = EditPayload.from_document(document["payload"])
    except (KeyError, TypeError, ValueError):
        unread = {name: document[name] for name in ("payload", "schema_version")}
        payload = _names_only(document["payload"])
        document["schema_version"] = UNREADABLE
    job = Job(
        **{name: document[name] for name in _PLAIN if name in document},
        kind=JobKind(document["kind"]),
        priority=Priority(document["priority"]),
        status=JobStatus(document["status"]),
        payload=payload,
        result=JobResult(**document["result"]) if document["result"] else None,
        error=JobError(**document["error"]) if document["error"] else None,
    )
    return Record(job=job, unread=unread, **{name: inner[name] for name in _RECORD if name in inner})


def dump_event_data(event: JobEvent) -> str:
    """An event's data as JSON."""
    return json.dumps(dict(event.data), separators=(",", ":"))


def _names_only(payload: dict[str, Any]) -> EditPayload:
    """Enough to show the job and to delete its pictures."""
    return EditPayload(
        prompt=str(payload.get("prompt", "")),
        base_key=payload["base_key"],
        reference_keys=tuple(payload.get("reference_keys", ())),
        mask_key=payload.get("mask_key"),
    )
