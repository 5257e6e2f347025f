"""Wire <-> domain: a valid request becomes a job's options, a job becomes a response body."""

from __future__ import annotations

import base64
import json
from typing import Any

from api.schemas import GenerateConfig
from composition.jobs import Job, JobStatus
from composition.request import RANDOM_SEED, EditOptions

API_PREFIX = "/api/v1"
PRIVATE = {"Cache-Control": "private, no-store"}
"""For answers that carry somebody's images."""


def to_options(config: GenerateConfig) -> EditOptions:
    """The request's `config`; what was not sent, or sent as null, is left to the definitions and the service."""
    sent: dict[str, Any] = {name: getattr(config, name) for name in config.model_fields_set}
    if sent.get("seed") == RANDOM_SEED:
        del sent["seed"]
    sent |= {name: tuple(value) for name, value in sent.items() if isinstance(value, list)}
    return EditOptions(**{name: value for name, value in sent.items() if value is not None})


def status_url(job_id: str) -> str:
    return f"{API_PREFIX}/status/{job_id}"


def to_result(job: Job, *, image: bytes | None, mask: bytes | None) -> dict[str, Any]:
    """The inner result object of a completed job; base64 is made here, so call it in a thread."""
    assert job.result is not None
    images: dict[str, Any] = {}
    if image is not None:
        images["image"] = base64.b64encode(image).decode("ascii")
    if mask is not None:
        images["mask"] = base64.b64encode(mask).decode("ascii")
    return {**images, **job.result.account}


def rendered(body: dict[str, Any]) -> bytes:
    """Compact JSON; with images in it it takes a while, so call it in a thread."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def to_status(job: Job, result: dict[str, Any] | None) -> dict[str, Any]:
    """The body of GET /status; `result` only of a completed job, `error` when there is none to come."""
    return {**_state(job), "attempt": job.attempt, "result": result}


def to_summary(job: Job) -> dict[str, Any]:
    described = {"kind": job.kind.value, "prompt": job.payload.prompt, "status_url": status_url(job.id)}
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
