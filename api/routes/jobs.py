"""GET /status/{id} and everything under /jobs."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Query
from sse_starlette.sse import AppStatus, EventSourceResponse
from starlette.responses import Response

from api import openapi
from api.context import Context, Owner
from api.conversion import API_PREFIX, PRIVATE, rendered, to_status, to_summary
from api.errors import error_body
from api.responses import JobListResponse, StatusResponse
from api.submission import images_gone, load_result, stored_image
from composition.errors import CompositionError, InvalidInput, NotFound
from composition.jobs import JobEvent, JobStatus
from composition.request import MAX_CANDIDATES

logger = logging.getLogger(__name__)

router = APIRouter(prefix=API_PREFIX, tags=["jobs"])

PING_S = 15
EVENT_SCHEMA = (
    "Of each event: `event` (status, progress, preview, error), `data` (a JSON object), `id` (not of an error)."
)
OCTETS = "application/octet-stream"

# Otherwise a stopping server cuts streams off in mid-air; the queue, as it winds down, ends every one with an event.
AppStatus.enable_automatic_graceful_drain = False


def known_form(job_id: str) -> str:
    """Job ids are UUIDs; anything else is unknown without asking the store."""
    try:
        return str(uuid.UUID(job_id))
    except ValueError as error:
        raise NotFound("there is no such job") from error


JobId = Annotated[str, Depends(known_form)]


@router.get(
    "/status/{job_id}",
    response_model=StatusResponse,
    responses=openapi.errors(*openapi.A_JOB),
    summary="How far a job is, and its result",
)
async def status(job_id: JobId, context: Context, owner: Owner) -> Response:
    """`result` is there once the status is completed, else `error` and `error_code` say why it is not to come.

    Of a completed job too (NOT_FOUND), whose images were delivered to the caller that waited, or are lost.
    """
    job = await context.queue.get(job_id, owner=owner)
    if job.status is not JobStatus.COMPLETED:
        return Response(rendered(to_status(job, None)), media_type="application/json", headers=PRIVATE)
    async with context.delivery_slots:
        result = await load_result(context, job)
        state = to_status(job, result)
        if result is None:
            gone = images_gone(job)
            state |= {"error": gone.message, "error_code": gone.code}
        content = await asyncio.to_thread(rendered, state)
    return Response(content, media_type="application/json", headers=PRIVATE)


@router.get(
    "/jobs",
    response_model=JobListResponse,
    responses=openapi.errors(*openapi.READING, InvalidInput),
    summary="The caller's jobs",
)
async def list_jobs(
    context: Context,
    owner: Owner,
    status: Annotated[JobStatus | None, Query(description="Only jobs in this state.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=500, description="From the page before.")] = None,
) -> dict[str, Any]:
    """Newest first."""
    page = await context.queue.list(owner=owner, status=status, limit=limit, cursor=cursor)
    return {"success": True, "jobs": [to_summary(job) for job in page.jobs], "cursor": page.cursor}


@router.delete(
    "/jobs/{job_id}",
    response_model=StatusResponse,
    responses=openapi.errors(*openapi.CHANGING_A_JOB),
    summary="Cancel a job",
)
async def cancel_job(job_id: JobId, context: Context, owner: Owner) -> dict[str, Any]:
    """Idempotent: a job that has ended stays as it is. The answer is its state, without the result."""
    return to_status(await context.queue.cancel(job_id, owner=owner), None)


@router.get(
    "/jobs/{job_id}/image",
    response_class=Response,
    responses={
        200: {
            "description": "The edited image.",
            "content": dict.fromkeys((*openapi.IMAGE_TYPES, OCTETS), openapi.FILE),
        },
        **openapi.errors(*openapi.A_JOB, InvalidInput),
    },
    summary="The edited image as a file",
)
async def job_image(
    job_id: JobId,
    context: Context,
    owner: Owner,
    index: Annotated[int, Query(ge=0, lt=MAX_CANDIDATES, description="Of several candidates, which one.")] = 0,
    max_side: Annotated[
        int | None, Query(ge=16, le=512, description="A small WebP instead, no side longer: for lists of jobs.")
    ] = None,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """404 while the job has no image; `details.status` says why. So it is for a candidate that there is none of.

    With `Accept: application/octet-stream` the same bytes under that type, for clients that know no images.
    """
    job = await context.queue.get(job_id, owner=owner)
    keys = () if job.result is None else job.result.image_keys
    if job.result is None or not keys:
        raise NotFound("the job has no image", details={"status": job.status.value})
    if index >= len(keys):
        raise NotFound(f"the job has {len(keys)} candidates, counted from 0", details={"status": job.status.value})
    media_type = job.result.image_media_type
    async with context.delivery_slots:
        data = await stored_image(context, job, keys[index])
        if max_side is not None:
            data, media_type = await anyio.to_thread.run_sync(
                context.codec.reduce, data, max_side, limiter=context.decode_slots
            )
    media_type = OCTETS if accept == OCTETS else media_type
    return Response(data, media_type=media_type, headers=PRIVATE)


@router.get(
    "/jobs/{job_id}/video",
    response_class=Response,
    responses={
        200: {
            "description": "The edited clip.",
            "content": dict.fromkeys((*openapi.VIDEO_TYPES, OCTETS), openapi.FILE),
        },
        **openapi.errors(*openapi.A_JOB, InvalidInput),
    },
    summary="The edited clip as a file",
)
async def job_video(
    job_id: JobId, context: Context, owner: Owner, accept: Annotated[str | None, Header(include_in_schema=False)] = None
) -> Response:
    """404 while the job has no clip; `details.status` says why. Its first frame is at /jobs/{job_id}/image.

    With `Accept: application/octet-stream` the same bytes under that type.
    """
    job = await context.queue.get(job_id, owner=owner)
    if job.result is None or job.result.video_key is None:
        raise NotFound("the job has no video", details={"status": job.status.value})
    async with context.delivery_slots:
        data = await stored_image(context, job, job.result.video_key)
    media_type = OCTETS if accept == OCTETS else job.result.video_media_type
    return Response(data, media_type=media_type, headers=PRIVATE)


@router.get(
    "/jobs/{job_id}/events",
    response_class=EventSourceResponse,
    responses={
        200: {
            "description": "Server-sent events: status, progress, preview.",
            "content": {"text/event-stream": {"schema": {"description": EVENT_SCHEMA}}},
        },
        **openapi.errors(*openapi.A_JOB, InvalidInput),
    },
    summary="A job's events as they happen",
)
async def job_events(
    job_id: JobId,
    context: Context,
    owner: Owner,
    last_event_id: Annotated[
        int, Header(alias="Last-Event-ID", ge=0, le=2**63 - 1, description="Replay what came after this event.")
    ] = 0,
) -> Response:
    """Replays what is kept, then follows the job; ends with its terminal status."""
    await context.queue.get(job_id, owner=owner)
    events = context.queue.events(job_id, owner=owner, after=last_event_id)
    return EventSourceResponse(_frames(events), ping=PING_S)


async def _frames(events: AsyncIterator[JobEvent]) -> AsyncIterator[dict[str, str]]:
    try:
        async for event in events:
            yield {"id": str(event.sequence), "event": event.type, "data": json.dumps(dict(event.data))}
    except CompositionError as error:
        # The response has started: an error can only be told as an event.
        yield {"event": "error", "data": json.dumps(error_body(error))}
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()
