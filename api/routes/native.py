"""BentoML's own endpoints, answered by us: /compose and the task routes under /compose_task.

`service.py` declares them, so that BentoML's schema and clients know them; `security.own_routes` sends them here before
BentoML reads a byte. A task is a job of the durable queue: BentoML's task store never gets one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api import openapi
from api.bodies import BoundedJsonRoute
from api.context import ApiContext, Charge, Charging, Context, Owner
from api.conversion import PRIVATE, rendered, status_url
from api.errors import validated
from api.responses import GenerateResponse, SubmitResponse
from api.routes.generate import run_while_connected
from api.routes.jobs import known_form
from api.schemas import GenerateRequest
from api.submission import delivered_result, submit
from composition.errors import Cancelled, InvalidInput, from_code
from composition.jobs import Job, JobKind, JobStatus, Priority

NATIVE_PATHS = ("/compose", "/compose_task")
"""As `service.py` declares them."""

router = APIRouter(tags=["bentoml"], route_class=BoundedJsonRoute)

_TASK_STATUS: Mapping[JobStatus, str] = {
    JobStatus.PENDING: "pending",
    JobStatus.PROCESSING: "in_progress",
    JobStatus.COMPLETED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "canceled",
}
"""A job's status as BentoML's clients spell it."""


class NativeRequest(BaseModel):
    """The argument of a native endpoint, by its name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    request: Annotated[dict[str, Any], Field(description="The body of POST /api/v1/generate.")]


class TaskResponse(BaseModel):
    """A task as BentoML's clients read it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_id: str = Field(description="The job's id, good for /api/v1/status too.")
    status: str = Field(description="pending, in_progress, completed, failed or canceled.")
    created_at: str
    executed_at: str | None = Field(description="When it ended.")


def _task_id(task_id: Annotated[str, Query(max_length=100)]) -> str:
    return known_form(task_id)


TaskId = Annotated[str, Depends(_task_id)]


@router.post(
    "/compose",
    response_model=GenerateResponse,
    responses={**openapi.OR_THE_IMAGE, **openapi.errors(*openapi.GENERATING)},
    summary="Edit an image and wait for it",
)
async def compose(body: NativeRequest, request: Request, context: Context, owner: Owner) -> Response:
    """As POST /api/v1/generate."""
    return await run_while_connected(request, context, _parse(body), kind=JobKind.EDIT, owner=owner)


@router.post(
    "/compose_task",
    response_model=SubmitResponse,
    responses=openapi.errors(*openapi.SUBMITTING),
    summary="Edit an image in the background",
)
async def compose_task(body: NativeRequest, context: Context, owner: Owner, charging: Charging) -> SubmitResponse:
    """As POST /api/v1/generate/async."""
    job = await _submit(body, context, owner, charging)
    return SubmitResponse(job_id=job.id, status_url=status_url(job.id))


@router.post(
    "/compose_task/submit",
    response_model=TaskResponse,
    responses=openapi.errors(*openapi.SUBMITTING),
    summary="Submit a task",
)
async def submit_task(body: NativeRequest, context: Context, owner: Owner, charging: Charging) -> TaskResponse:
    """The task is a job like any other: durable, its owner's alone, to be found under /api/v1/jobs too."""
    return _task(await _submit(body, context, owner, charging))


@router.get(
    "/compose_task/status",
    response_model=TaskResponse,
    responses=openapi.errors(*openapi.A_JOB, InvalidInput),
    summary="How far a task is",
)
async def task_status(task_id: TaskId, context: Context, owner: Owner) -> TaskResponse:
    """404 for another owner's."""
    return _task(await context.queue.get(task_id, owner=owner))


@router.get(
    "/compose_task/get",
    response_model=GenerateResponse,
    responses=openapi.errors(*openapi.A_JOB, InvalidInput, *openapi.GENERATING),
    summary="A completed task's result",
)
async def task_result(task_id: TaskId, context: Context, owner: Owner) -> Response:
    """What /compose would have answered, its error too; 400 while the task has not ended."""
    job = await context.queue.get(task_id, owner=owner)
    if job.error is not None:
        raise from_code(job.error.code, job.error.message, job.error.details)
    if job.status is JobStatus.CANCELLED:
        raise Cancelled("the task was cancelled")
    if job.result is None:
        raise InvalidInput("the task is not completed yet", details={"status": job.status.value})
    async with context.delivery_slots:
        result = await delivered_result(context, job)
        content = await anyio.to_thread.run_sync(rendered, {"success": True, "result": result})
    return Response(content, media_type="application/json", headers=PRIVATE)


@router.put(
    "/compose_task/cancel",
    response_model=TaskResponse,
    responses=openapi.errors(*openapi.CHANGING_A_JOB, InvalidInput),
    summary="Cancel a task",
)
async def cancel_task(task_id: TaskId, context: Context, owner: Owner) -> TaskResponse:
    """Idempotent: a task that has ended stays as it is."""
    return _task(await context.queue.cancel(task_id, owner=owner))


@router.post(
    "/compose_task/retry",
    responses=openapi.errors(*openapi.CHANGING_A_JOB, InvalidInput),
    summary="Not offered: submit the task again",
)
async def retry_task(task_id: TaskId, context: Context, owner: Owner) -> None:
    """Always refused: transient failures are tried again by the queue itself, and no request is kept to be repeated."""
    await context.queue.get(task_id, owner=owner)
    raise InvalidInput("a task is not run again: submit it again")


async def _submit(body: NativeRequest, context: ApiContext, owner: str, charge: Charge) -> Job:
    return await submit(context, _parse(body), kind=JobKind.EDIT, owner=owner, priority=Priority.BATCH, charge=charge)


def _parse(body: NativeRequest) -> GenerateRequest:
    """Raises: InvalidInput, with every bad field, named as on the REST route."""
    return validated(GenerateRequest, body.request)


def _task(job: Job) -> TaskResponse:
    return TaskResponse(
        task_id=job.id,
        status=_TASK_STATUS[job.status],
        created_at=_moment(job.created_at),
        executed_at=None if job.finished_at is None else _moment(job.finished_at),
    )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat()
