"""POST /generate, /generate/async and /analyze."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Header, Request
from starlette.background import BackgroundTask
from starlette.responses import Response

from api import openapi
from api.context import ApiContext, Charge, Charging, Context, Owner, current_charge
from api.conversion import API_PREFIX, PRIVATE, rendered, status_url
from api.forms import GENERATE_FORM, GenerateRoute, form_body
from api.responses import AnalyzeResponse, GenerateResponse, SubmitResponse
from api.schemas import GenerateRequest
from api.submission import (
    Submitted,
    delivered_images,
    delivered_result,
    for_who_waits,
    forget_images,
    run_interactive,
    submit,
)
from composition.errors import Cancelled, IdempotencyConflict
from composition.jobs import Job, JobKind, Priority
from composition.request import ResponseFormat

router = APIRouter(prefix=API_PREFIX, tags=["edits"], route_class=GenerateRoute)

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Submitting again with the same key and body answers the same job; with another body 422.",
    ),
]


@router.post(
    "/generate",
    response_model=GenerateResponse,
    responses={**openapi.OR_THE_IMAGE, **openapi.errors(*openapi.GENERATING)},
    summary="Edit an image and wait for it",
    openapi_extra=form_body(GENERATE_FORM.schema),
)
async def generate(body: GenerateRequest, request: Request, context: Context, owner: Owner) -> Response:
    """Blocks until the edit is complete. Closing the connection cancels it."""
    return await run_while_connected(request, context, body, kind=JobKind.EDIT, owner=owner)


@router.post(
    "/generate/async",
    response_model=SubmitResponse,
    responses=openapi.errors(*openapi.SUBMITTING, IdempotencyConflict),
    summary="Edit an image in the background",
    openapi_extra=form_body(GENERATE_FORM.schema),
)
async def generate_async(
    body: GenerateRequest,
    context: Context,
    owner: Owner,
    charging: Charging,
    idempotency_key: IdempotencyKey = None,
) -> SubmitResponse:
    """Answers as soon as the job is accepted durably; ask `status_url` or give a `callback_url` to learn its end."""
    return await in_background(context, body, owner=owner, charge=charging, idempotency_key=idempotency_key)


@router.post(
    "/analyze",
    response_model=AnalyzeResponse,
    responses=openapi.errors(*openapi.WAITING),
    summary="Say what an edit would do, without doing it",
    openapi_extra=form_body(GENERATE_FORM.schema),
)
async def analyze(body: GenerateRequest, request: Request, context: Context, owner: Owner) -> Response:
    """The same request as /generate: decision, target, boxes and mask; no diffusion."""
    return await run_while_connected(request, context, body, kind=JobKind.ANALYZE, owner=owner)


async def in_background(
    context: ApiContext, body: Submitted, *, owner: str, charge: Charge, idempotency_key: str | None
) -> SubmitResponse:
    """Accept an edit for a caller that does not wait. Raises: as `submit`."""
    job = await submit(
        context,
        body,
        kind=JobKind.EDIT,
        owner=owner,
        priority=Priority.BATCH,
        charge=charge,
        idempotency_key=idempotency_key,
    )
    return SubmitResponse(job_id=job.id, status_url=status_url(job.id))


async def run_while_connected(
    request: Request, context: ApiContext, body: Submitted, *, kind: JobKind, owner: str
) -> Response:
    """Run an edit or an analysis for a caller that waits, and answer its result."""
    job = await finished_while_connected(request, context, body, kind=kind, owner=owner)
    with for_who_waits():
        if body.response_format is ResponseFormat.BINARY:
            return await _image_itself(context, job)
        async with context.delivery_slots:
            result = await delivered_result(context, job)
            content = await anyio.to_thread.run_sync(rendered, {"success": True, "result": result})
    return Response(
        content,
        media_type="application/json",
        headers={"X-Job-ID": job.id, **PRIVATE},
        background=BackgroundTask(forget_images, context, job),
    )


async def finished_while_connected(
    request: Request, context: ApiContext, body: Submitted, *, kind: JobKind, owner: str
) -> Job:
    """The job of a caller that waits; a caller that leaves cancels it. Raises: as `run_interactive`."""
    charge, spent = current_charge(request), spent_s(request)
    return await _while_connected(
        request, lambda: run_interactive(context, body, kind=kind, owner=owner, charge=charge, spent_s=spent)
    )


def spent_s(request: Request) -> float:
    """Seconds since a request's arrival."""
    now = time.perf_counter()
    return now - float(getattr(request.state, "started_at", now))


async def _image_itself(context: ApiContext, job: Job) -> Response:
    """The image file as the body; of what else there is to say the short things as headers."""
    result = job.result
    assert result is not None
    (image,) = await delivered_images(context, job)
    account, metadata = result.account, result.account["metadata"]
    headers = {
        "X-Job-ID": job.id,
        "X-Seed": str(metadata["seed_used"]),
        "X-Pipeline": str(account["pipeline_used"]),
        "X-Processing-Time-Ms": str(account["processing_time_ms"]),
        "X-Warnings": str(len(metadata["warnings"])),
        **PRIVATE,
    }
    return Response(
        image,
        media_type=result.image_media_type,
        headers=headers,
        background=BackgroundTask(forget_images, context, job),
    )


async def _while_connected(request: Request, work: Callable[[], Awaitable[Job]]) -> Job:
    """Do the work unless the client leaves, which cancels it. Raises: Cancelled, which nobody will read."""
    working = asyncio.ensure_future(work())
    leaving = asyncio.ensure_future(_disconnection(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise Cancelled("the client has left")
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _disconnection(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
