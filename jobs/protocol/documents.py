"""Records as JSON text, for the stores that keep them outside this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from enum import EnumType
from typing import Any

from composition.controls import CONTROLS
from composition.images import Box
from composition.jobs import (
    EditOfPayload,
    EditPayload,
    Job,
    JobError,
    JobEvent,
    JobKind,
    JobResult,
    JobStatus,
    Priority,
    UseOfReference,
    VideoOfPayload,
)
from composition.marks import Point
from composition.request import OF_EACH_EDIT, OPTIONS, ControlType, EditOptions, ResponseFormat, VideoOutput
from composition.result import Checkpoint
from jobs.protocol.lifecycle import Record

_PLAIN = tuple(
    f.name
    for f in fields(Job)
    if f.name not in ("kind", "priority", "payload", "status", "result", "error", "checkpoint")
)  # fmt: skip
_RECORD = tuple(f.name for f in fields(Record) if f.name not in ("job", "unread"))
_READ: Mapping[Any, Callable[[Any], Any]] = {
    tuple[ControlType, ...]: tuple,
    tuple[Point, ...]: lambda stored: tuple(Point(*point) for point in stored),
    Box: lambda stored: Box(**stored),
}
"""What JSON makes of an option's value, back to its type."""
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
        "payload": dump_payload(job.payload),
        "result": _dump_result(job.result) if job.result else None,
        "error": asdict(job.error) if job.error else None,
        "record": {name: getattr(record, name) for name in _RECORD},
    }
    if job.checkpoint is not None:
        document["checkpoint"] = asdict(job.checkpoint)
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
        payload = load_payload(document["payload"])
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
        result=_load_result(document["result"]) if document["result"] else None,
        error=JobError(**document["error"]) if document["error"] else None,
        checkpoint=_load_checkpoint(document.get("checkpoint")),
    )
    return Record(job=job, unread=unread, **{name: inner[name] for name in _RECORD if name in inner})


def dump_event_data(event: JobEvent) -> str:
    return json.dumps(dict(event.data), separators=(",", ":"))


def _dump_result(result: JobResult) -> dict[str, Any]:
    """Without what only candidates or clips need, so that a version that knows none reads every other result."""
    document = asdict(result)
    for name in ("other_image_keys", "video_key", "video_media_type"):
        if not document[name]:
            del document[name]
    return document


def _load_result(document: Mapping[str, Any]) -> JobResult:
    return JobResult(**{**document, "other_image_keys": tuple(document.get("other_image_keys", ()))})


def _load_checkpoint(document: Mapping[str, Any] | None) -> Checkpoint | None:
    return None if document is None else Checkpoint(**{name: tuple(keys) for name, keys in document.items()})


def _names_only(payload: dict[str, Any]) -> EditPayload:
    """Enough to show the job and to delete its images."""
    return EditPayload(
        prompt=str(payload.get("prompt", "")),
        base_key=payload["base_key"],
        reference_keys=tuple(payload.get("reference_keys", ())),
        reference_uses=_masks_only(payload),
        mask_key=payload.get("mask_key"),
        view_keys=tuple(payload.get("view_keys", ())),
        edits=tuple(
            EditOfPayload(
                prompt=str(edit.get("prompt", "")),
                reference_keys=tuple(edit.get("reference_keys", ())),
                reference_uses=_masks_only(edit),
                mask_key=edit.get("mask_key"),
            )
            for edit in payload.get("edits", ())
        ),
    )


def dump_payload(payload: EditPayload) -> dict[str, Any]:
    """JSON-serialisable form; `load_payload` is its inverse."""
    document = asdict(payload)
    document["options"]["loras"] = dict(payload.options.loras)
    document["lora_digests"] = dict(payload.lora_digests)
    for name in ("edits", "reference_uses", "view_keys", "video"):
        if not document[name]:
            del document[name]
    for edit in document.get("edits", ()):
        if not edit["reference_uses"]:
            del edit["reference_uses"]
    return document


def load_payload(document: Mapping[str, Any]) -> EditPayload:
    """Raises: KeyError, TypeError or ValueError for a document of another shape."""
    stored = document["options"]
    if unknown := set(stored) - OPTIONS.keys():
        raise ValueError(f"unknown options: {sorted(unknown)}")
    if unknown := set(stored["control_types"]) - CONTROLS.keys():
        raise ValueError(f"unknown control types: {sorted(unknown)}")
    options = {name: _option(name, value) for name, value in stored.items() if value is not None}
    edits = document.get("edits", ())
    return EditPayload(
        prompt=document["prompt"],
        base_key=document["base_key"],
        negative_prompt=document["negative_prompt"],
        reference_keys=tuple(document["reference_keys"]),
        reference_uses=_load_uses(document),
        mask_key=document["mask_key"],
        n=document.get("n", 1),
        response_format=ResponseFormat(document.get("response_format", ResponseFormat.JSON)),
        options=EditOptions(**options),
        lora_digests=document.get("lora_digests", {}),
        edits=tuple(_load_edit(edit) for edit in edits),
        view_keys=tuple(document.get("view_keys", ())),
        video=_load_video(document.get("video")),
    )


def _load_video(document: Mapping[str, Any] | None) -> VideoOfPayload | None:
    return None if document is None else VideoOfPayload(**{**document, "output": VideoOutput(document["output"])})


def _load_edit(document: Mapping[str, Any]) -> EditOfPayload:
    if unknown := set(document["options"]) - set(OF_EACH_EDIT):
        raise ValueError(f"unknown options: {sorted(unknown)}")
    return EditOfPayload(
        prompt=document["prompt"],
        negative_prompt=document["negative_prompt"],
        reference_keys=tuple(document["reference_keys"]),
        reference_uses=_load_uses(document),
        mask_key=document["mask_key"],
        options={name: _option(name, value) for name, value in document["options"].items()},
    )


def _load_uses(document: Mapping[str, Any]) -> tuple[UseOfReference, ...]:
    return tuple(UseOfReference(**use) for use in document.get("reference_uses", ()))


def _masks_only(document: Mapping[str, Any]) -> tuple[UseOfReference, ...]:
    return tuple(UseOfReference(mask_key=use.get("mask_key")) for use in document.get("reference_uses", ()))


def _option(name: str, stored: Any) -> Any:
    kind = OPTIONS[name].type
    if isinstance(kind, EnumType):
        return kind(stored)
    return _READ[kind](stored) if kind in _READ else stored
