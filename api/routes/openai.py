"""POST /v1/images/edits and GET /v1/models, for OpenAI's clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any, cast

import anyio.to_thread
from fastapi import APIRouter, Request
from sse_starlette.sse import EventSourceResponse
from starlette.background import BackgroundTask
from starlette.responses import Response

from api import openapi
from api.context import ApiContext, Context, Owner, current_charge
from api.conversion import PRIVATE, rendered
from api.forms import form_body, form_of
from api.images import naming
from api.multipart import MEDIA_TYPE, Upload, is_form
from api.openai.answers import MODEL_CARD, completed_events, partial_event, whole_answer
from api.openai.edits import FILES, FORM_SCHEMA, MODEL, TEXTS, ImageEdit, about, read_edit
from api.openai.errors import UnknownModel, error_body, in_their_terms
from api.responses import OpenAiImagesResponse, OpenAiModel, OpenAiModelList
from api.routes.generate import finished_while_connected, spent_s
from api.routes.jobs import PING_S
from api.schemas import GenerateRequest
from api.submission import deadline_of, delivered_images, for_who_waits, forget_images, submit, wait_for_end
from composition.errors import CompositionError, InvalidInput, NotReady
from composition.jobs import Job, JobEvent, JobKind, Priority

router = APIRouter(prefix="/v1", tags=["openai"])


@router.post(
    "/images/edits",
    response_model=OpenAiImagesResponse,
    responses={
        200: {
            "description": "The edited images; with `stream` the events image_edit.partial_image and "
            "image_edit.completed.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **openapi.openai_errors(*openapi.GENERATING, UnknownModel),
    },
    summary="Edit an image, as OpenAI's clients ask for it",
    openapi_extra=form_body(FORM_SCHEMA),
)
async def edit_image(request: Request, context: Context, owner: Owner) -> Response:
    """The photo's own resolution, as PNG in base64, unless the form says otherwise."""
    if not is_form(request):
        raise InvalidInput(f"body: must be sent as Content-Type: {MEDIA_TYPE}")
    edit, body = read_edit(await form_of(request, files=FILES, texts=TEXTS))
    if edit.partial_images and not context.config.generation.previews:
        raise about("partial_images", "this service gives none (generation.previews)")
    with in_their_terms():
        await _check_size(context, edit, body.base_image)
        if edit.stream:
            return await _streamed(request, context, owner, edit, body)
        job = await finished_while_connected(request, context, body, kind=JobKind.EDIT, owner=owner)
    with for_who_waits():
        async with context.delivery_slots:
            images = await delivered_images(context, job)
            content = await anyio.to_thread.run_sync(lambda: rendered(whole_answer(job, images, edit)))
    return Response(
        content,
        media_type="application/json",
        headers={"X-Job-ID": job.id, **PRIVATE},
        background=BackgroundTask(forget_images, context, job),
    )


@router.get(
    "/models",
    response_model=OpenAiModelList,
    responses=openapi.openai_errors(*openapi.ANY),
    summary="The models, as OpenAI's clients ask",
)
async def list_models() -> dict[str, Any]:
    """There is one."""
    return {"object": "list", "data": [MODEL_CARD]}


@router.get(
    "/models/{model}",
    response_model=OpenAiModel,
    responses=openapi.openai_errors(*openapi.ANY, UnknownModel),
    summary="One model, as OpenAI's clients ask",
)
async def model(model: str) -> Mapping[str, Any]:
    """404 for any but image-composition."""
    if model != MODEL:
        raise UnknownModel(model[:100])
    return MODEL_CARD


async def _check_size(context: ApiContext, edit: ImageEdit, photo: str | Upload) -> None:
    if edit.size == "auto":
        return
    assert isinstance(photo, Upload)
    with naming("base_image"):
        width, height = await anyio.to_thread.run_sync(context.codec.measure, photo.data, limiter=context.decode_slots)
    if edit.size != f"{width}x{height}":
        raise about("size", f"an edit has its photo's resolution: auto or {width}x{height}")


async def _streamed(
    request: Request, context: ApiContext, owner: str, edit: ImageEdit, body: GenerateRequest
) -> Response:
    """What is refused is refused before the stream begins."""
    deadline = deadline_of(context, spent_s(request))
    job = await submit(
        context,
        body,
        kind=JobKind.EDIT,
        owner=owner,
        priority=Priority.INTERACTIVE,
        charge=current_charge(request),
        deadline=deadline,
    )
    return EventSourceResponse(
        _frames(context, job, edit, deadline), ping=PING_S, headers={"X-Job-ID": job.id, **PRIVATE}
    )


async def _frames(
    context: ApiContext, job: Job, edit: ImageEdit, deadline: float
) -> AsyncGenerator[dict[str, str], None]:
    """A stream that is closed early cancels the job, as a caller that stops waiting does."""
    ending = asyncio.ensure_future(wait_for_end(context, job, deadline=deadline))
    sent = 0
    try:
        async with aclosing(_previews(context, job, edit.partial_images)) as previews:
            async for preview in previews:
                yield _frame(partial_event(preview, sent, edit))
                sent += 1
        with in_their_terms():
            ended = await ending
        with for_who_waits():
            images = await delivered_images(context, ended)
        missing = edit.partial_images - sent
        notes = [f"partial_images: {missing} fewer than asked for, the edit was done first"] if missing else []
        for event in await anyio.to_thread.run_sync(lambda: completed_events(ended, images, edit, notes)):
            yield _frame(event)
        await forget_images(context, ended)
    except CompositionError as error:
        # The response has started: an error can only be told as an event.
        yield {"event": "error", "data": json.dumps({"type": "error", **error_body(error)})}
    finally:
        ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)


async def _previews(context: ApiContext, job: Job, count: int) -> AsyncGenerator[Mapping[str, Any], None]:
    """At most so many of a job's previews, spread over its progress; ends with the job at the latest."""
    shown, progress = 0, 0.0
    if not count:
        return
    with suppress(NotReady):
        following = cast(AsyncGenerator[JobEvent, None], context.queue.events(job.id, owner=job.owner, after=0))
        async with aclosing(following) as events:
            async for event in events:
                progress = float(event.data.get("progress", progress))
                if event.type == "preview" and progress * (count + 1) >= shown + 1:
                    yield event.data
                    shown += 1
                if shown == count:
                    return


def _frame(event: Mapping[str, Any]) -> dict[str, str]:
    return {"event": event["type"], "data": json.dumps(event, separators=(",", ":"))}
