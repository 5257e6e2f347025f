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
from api.bodies import BoundedJsonRoute
from api.context import ApiContext, Context, Owner
from api.conversion import API_PREFIX, PRIVATE, rendered, status_url
from api.responses import AnalyzeResponse, GenerateResponse, SubmitResponse
from api.schemas import GenerateRequest
from api.submission import delivered_result, forget_images, run_interactive, submit
from composition.errors import Cancelled, IdempotencyConflict, NotFound, NotReady
from composition.jobs import Job, JobKind, Priority

router = APIRouter(prefix=API_PREFIX, tags=["edits"], route_class=BoundedJsonRoute)

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
    responses=openapi.errors(*openapi.GENERATING),
    summary="Edit an image and wait for it",
)
async def generate(body: GenerateRequest, request: Request, context: Context, owner: Owner) -> Response:
    """Blocks until the edit is complete. Closing the connection cancels it."""
    return await run_while_connected(request, context, body, kind=JobKind.EDIT, owner=owner)


@router.post(
    "/generate/async",
    response_model=SubmitResponse,
    responses=openapi.errors(*openapi.SUBMITTING, IdempotencyConflict),
    summary="Edit an image in the background",
)
async def generate_async(
    body: GenerateRequest, context: Context, owner: Owner, idempotency_key: IdempotencyKey = None
) -> SubmitResponse:
    """Answers as soon as the job is accepted durably; ask `status_url` or give a `callback_url` to learn its end."""
    job = await submit(
        context, body, kind=JobKind.EDIT, owner=owner, priority=Priority.BATCH, idempotency_key=idempotency_key
    )
    return SubmitResponse(job_id=job.id, status_url=status_url(job.id))


@router.post(
    "/analyze",
    response_model=AnalyzeResponse,
    responses=openapi.errors(*openapi.WAITING),
    summary="Say what an edit would do, without doing it",
)
async def analyze(body: GenerateRequest, request: Request, context: Context, owner: Owner) -> Response:
    """The same request as /generate: decision, target, boxes and mask; no diffusion."""
    return await run_while_connected(request, context, body, kind=JobKind.ANALYZE, owner=owner)


async def run_while_connected(
    request: Request, context: ApiContext, body: GenerateRequest, *, kind: JobKind, owner: str
) -> Response:
    """Run an edit or an analysis for a caller that waits; a caller that leaves cancels it."""
    spent_s = time.perf_counter() - getattr(request.state, "started_at", time.perf_counter())
    job = await _while_connected(
        request, lambda: run_interactive(context, body, kind=kind, owner=owner, spent_s=spent_s)
    )
    try:
        result = await delivered_result(context, job)
    except NotFound as gone:
        raise NotReady(gone.message, details=gone.details) from gone
    content = await anyio.to_thread.run_sync(rendered, {"success": True, "result": result})
    return Response(
        content,
        media_type="application/json",
        headers={"X-Job-ID": job.id, **PRIVATE},
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
