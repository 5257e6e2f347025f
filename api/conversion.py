"""Wire <-> domain: a valid request becomes a job's options, a job becomes a response body."""

from __future__ import annotations

import base64
from typing import Any

from api.schemas import GenerateConfig
from composition.jobs import Job, JobStatus
from composition.request import EditOptions

API_PREFIX = "/api/v1"
PRIVATE = {"Cache-Control": "private, no-store"}
"""For answers that carry somebody's pictures."""
_CANCELLED_MESSAGE = "the job was cancelled"


def to_options(config: GenerateConfig) -> EditOptions:
    """The request's `config`; a field that was not sent is None where the service has its own default."""
    sent = config.model_fields_set

    def given(name: str) -> Any:
        return getattr(config, name) if name in sent else None

    return EditOptions(
        pipeline=config.pipeline,
        force_controlnet=config.force_controlnet,
        control_types=tuple(config.control_types or ()),
        num_inference_steps=given("num_inference_steps"),
        guidance_scale=given("guidance_scale"),
        seed=None if config.seed == -1 else config.seed,
        ip_adapter_scale=given("ip_adapter_scale"),
        controlnet_conditioning_scale=given("controlnet_conditioning_scale"),
        target=config.target,
        on_no_detection=config.on_no_detection,
        refine_mask=config.refine_mask,
        mask_mode=config.mask_mode,
        mask_dilation_px=config.mask_dilation_px,
        mask_blur_px=config.mask_blur_px,
        strength=config.strength,
        crop=config.crop,
        speed=config.speed,
        color_match=config.color_match,
        sharpen=config.sharpen,
        output_format=config.output_format,
        return_mask=config.return_mask,
        loras=dict(config.loras or {}),
    )


def status_url(job_id: str) -> str:
    return f"{API_PREFIX}/status/{job_id}"


def to_result(job: Job, *, image: bytes | None, mask: bytes | None) -> dict[str, Any]:
    """The inner result object of a completed job; base64 is made here, so call it in a thread.

    Args:
        job: a completed job.
        image: the encoded picture; None for an analysis.
        mask: the encoded mask, None when it was not asked for.
    """
    assert job.result is not None
    pictures: dict[str, Any] = {}
    if image is not None:
        pictures["image"] = base64.b64encode(image).decode("ascii")
    if mask is not None:
        pictures["mask"] = base64.b64encode(mask).decode("ascii")
    return {**pictures, **job.result.account}


def to_status(job: Job, result: dict[str, Any] | None) -> dict[str, Any]:
    """The body of GET /status; `result` only of a completed job, `error` only when it failed or was cancelled."""
    return {
        "job_id": job.id,
        "status": job.status.value,
        "progress": 1.0 if job.status is JobStatus.COMPLETED else job.progress,
        "stage": job.stage,
        "attempt": job.attempt,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        "result": result,
        **_error_fields(job),
    }


def to_summary(job: Job) -> dict[str, Any]:
    """One entry of GET /jobs."""
    return {
        "job_id": job.id,
        "kind": job.kind.value,
        "status": job.status.value,
        "progress": 1.0 if job.status is JobStatus.COMPLETED else job.progress,
        "stage": job.stage,
        "prompt": job.payload.prompt,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        **_error_fields(job),
        "status_url": status_url(job.id),
    }


def _error_fields(job: Job) -> dict[str, str | None]:
    if job.error is not None:
        return {"error": job.error.message, "error_code": job.error.code}
    if job.status is JobStatus.CANCELLED:
        return {"error": _CANCELLED_MESSAGE, "error_code": "CANCELLED"}
    return {"error": None, "error_code": None}
