"""Wire <-> domain: a valid request becomes a job's options, a job becomes a response body."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from api.schemas import GenerateConfig, RegionEdit
from composition.images import Box
from composition.jobs import Job, JobStatus
from composition.marks import Point
from composition.request import OF_EACH_EDIT, OPTIONS, RANDOM_SEED, ControlType, EditOptions, ResponseFormat

API_PREFIX = "/api/v1"
PRIVATE = {"Cache-Control": "private, no-store"}
"""For answers that carry somebody's images."""

_FROM_LISTS: Mapping[Any, Callable[[list[Any]], Any]] = {
    tuple[ControlType, ...]: tuple,
    tuple[Point, ...]: lambda points: tuple(Point(x, y, *map(int, label)) for x, y, *label in points),
    Box: lambda sides: Box(**dict(zip(("x0", "y0", "x1", "y1"), sides, strict=True))),
}
"""What a list that was sent comes to, by the option's type."""


def to_options(config: GenerateConfig) -> EditOptions:
    """The request's `config`; what was not sent, or sent as null, is left to the definitions and the service."""
    sent: dict[str, Any] = {name: getattr(config, name) for name in config.model_fields_set}
    if sent.get("seed") == RANDOM_SEED:
        del sent["seed"]
    sent |= {name: _FROM_LISTS[OPTIONS[name].type](value) for name, value in sent.items() if isinstance(value, list)}
    return EditOptions(**{name: value for name, value in sent.items() if value is not None})


def own_options(edit: RegionEdit) -> dict[str, Any]:
    """Those that one of several edits has of its own."""
    sent = {name: getattr(edit, name) for name in OF_EACH_EDIT}
    own = {name: tuple(value) if isinstance(value, list) else value for name, value in sent.items()}
    return {name: value for name, value in own.items() if value is not None}


def status_url(job_id: str) -> str:
    return f"{API_PREFIX}/status/{job_id}"


def image_url(job_id: str, index: int = 0) -> str:
    """Where a job's image is, or one of its candidates."""
    return f"{API_PREFIX}/jobs/{job_id}/image" + (f"?index={index}" if index else "")


def video_url(job_id: str) -> str:
    """Where a job's clip is."""
    return f"{API_PREFIX}/jobs/{job_id}/video"


def to_result(job: Job, *, files: Sequence[bytes], mask: bytes | None) -> dict[str, Any]:
    """The inner result object of a completed job; base64 is made here, so call it in a thread.

    Args:
        job: with its result.
        files: every candidate's file, or the clip's; none of a job whose files are delivered by their URLs.
        mask: a file, if there is one to deliver.
    """
    assert job.result is not None
    delivered: dict[str, Any] = {}
    if job.result.video_key is not None:
        by_url = job.payload.response_format is ResponseFormat.URL
        delivered = {"video_url": video_url(job.id)} if by_url else {"video": in_base64(files[0])}
        delivered["media_type"] = job.result.video_media_type
    elif job.payload.response_format is ResponseFormat.URL:
        _deliver(delivered, "image_url", [image_url(job.id, index) for index in range(len(job.result.image_keys))])
    else:
        _deliver(delivered, "image", [in_base64(image) for image in files])
    if mask is not None:
        delivered["mask"] = in_base64(mask)
    return {**delivered, **job.result.account}


def _deliver(delivered: dict[str, Any], name: str, candidates: Sequence[str]) -> None:
    """The first under the name, several under its plural too."""
    if candidates:
        delivered[name] = candidates[0]
    if len(candidates) > 1:
        delivered[f"{name}s"] = list(candidates)


def in_base64(file: bytes) -> str:
    """A file as it stands in a JSON body; of a large one it takes a while, so call it in a thread."""
    return base64.b64encode(file).decode("ascii")


def rendered(body: dict[str, Any]) -> bytes:
    """Compact JSON; with images in it it takes a while, so call it in a thread."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def to_status(job: Job, result: dict[str, Any] | None) -> dict[str, Any]:
    """The body of GET /status; `result` only of a completed job, `error` when there is none to come."""
    return {**_state(job), "attempt": job.attempt, "result": result}


def to_summary(job: Job) -> dict[str, Any]:
    described = {"kind": job.kind.value, "prompt": job.payload.words, "status_url": status_url(job.id)}
    return {**_state(job), **described}


def _state(job: Job) -> dict[str, Any]:
    error, code = None, None
    if job.error is not None:
        error, code = job.error.message, job.error.code
    elif job.status is JobStatus.CANCELLED:
        error, code = "the job was cancelled", "CANCELLED"
    return {
        "job_id": job.id,
        "status": job.status.value,
        "progress": 1.0 if job.status is JobStatus.COMPLETED else job.progress,
        "stage": job.stage,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        "error": error,
        "error_code": code,
    }
