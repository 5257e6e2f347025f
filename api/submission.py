"""A request on its way into the queue and, for the blocking endpoints, back: fetch -> decode -> submit -> wait.

Everything that can be known to be wrong is found here, before a job is accepted. The images go into blobs as they
were sent; whoever runs the job decodes them again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ParamSpec, TypeAlias, TypeVar

import anyio.to_thread

from api.context import STARTING_RETRY_AFTER_S, ApiContext, Charge
from api.conversion import own_options, to_options, to_result
from api.images import decode_inline, is_url, naming
from api.multipart import Upload
from api.references import uses_of
from api.schemas import GenerateRequest, VideoRequest, ViewsRequest
from composition.config import Config
from composition.diffusion import rows_of
from composition.errors import (
    Cancelled,
    InternalError,
    InvalidInput,
    NotFound,
    NotReady,
    Superseded,
    Timeout,
    UnprocessableImage,
    from_code,
)
from composition.images import Mask
from composition.jobs import (
    FRAMES_OF_A_PLACE,
    EditOfPayload,
    EditPayload,
    Job,
    JobKind,
    JobStatus,
    Priority,
    VideoOfPayload,
)
from composition.logs import current_ids
from composition.pipelines.planning import pace
from composition.request import MAX_SEED, EditOptions, ResponseFormat
from observability.tracing import current_traceparent

logger = logging.getLogger(__name__)

IMAGES_GONE = "the job completed, but its images are not in the image storage any more"

Submitted: TypeAlias = GenerateRequest | ViewsRequest | VideoRequest
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class _Images:
    """The files of a request, each known to decode."""

    photographs: tuple[str, ...]
    """The names of those that are edited."""
    named: Mapping[str, bytes]
    """By the name that an error calls them."""
    video: VideoOfPayload | None = None
    """Of a request that edits a clip."""

    def references(self, prefix: str = "") -> list[str]:
        """The names of a request's references, or of one of its edits, whose names begin with the prefix."""
        names = [name for name in self.named if name.startswith(f"{prefix}reference_image")]
        return [name for name in names if not name.endswith("mask_image")]


async def submit(
    context: ApiContext,
    request: Submitted,
    *,
    kind: JobKind,
    owner: str,
    priority: Priority,
    charge: Charge,
    idempotency_key: str | None = None,
    deadline: float | None = None,
) -> Job:
    """Check a request completely and have it accepted, with the time that an attempt at it may take.

    Until `deadline`, by the running loop's clock, somebody waits: an attempt gets what is left of it, else the whole
    limit for each candidate. With a known idempotency key the job is the one that was accepted first.

    Raises:
        CompositionError: the request cannot be used, or the queue does not take it.
    """
    context.drain.check()
    _check_delivery(request, kind, priority)
    _check_edits(request, context.config.generation.max_edits)
    _check_views(request, context.config)
    if kind is JobKind.EDIT and not isinstance(request, VideoRequest):
        charge(request.candidates * max(1, len(request.each_edit)) * len(request.photographs))
    if request.callback_url is not None:
        with naming("callback_url"):
            await context.fetcher.check(request.callback_url)
    options = _options(context, request)
    lora_digests = await context.loras.check(owner, options.loras)
    with context.sessions.arrived(owner, request.session) as hand_over:
        images = await _load_images(context, request, options)
        if images.video is not None:
            charge(-(-images.video.frames // FRAMES_OF_A_PLACE))
        payload = replace(await _store(context, request, images, options), lora_digests=lora_digests)
        limit_s = context.config.limits.request_timeout_seconds
        job = Job(
            id=str(uuid.uuid4()),
            kind=kind,
            owner=owner,
            priority=priority,
            payload=payload,
            max_attempts=1 if priority is Priority.INTERACTIVE else context.config.queue.max_attempts,
            schema_version=payload.schema_version,
            time_limit_s=limit_s * payload.size if deadline is None else _left_s(deadline),
            callback_url=request.callback_url,
            idempotency_key=idempotency_key,
            body_digest=await anyio.to_thread.run_sync(_digest, request) if idempotency_key else None,
            session=request.session,
            request_id=current_ids().get("request_id", ""),
            traceparent=current_traceparent(),
        )
        try:
            hand_over()
        except Superseded:
            await context.blobs.delete(payload.blob_keys)
            raise
        # From here on the queue owns the images: a refused or repeated submission's it deletes itself.
        return await context.queue.submit(job)


async def run_interactive(
    context: ApiContext, request: Submitted, *, kind: JobKind, owner: str, charge: Charge, spent_s: float = 0.0
) -> Job:
    """Submit and wait; a caller that stops waiting (its task is cancelled) cancels the job.

    Reading the request took `spent_s` of the time limit.

    Raises:
        Cancelled: somebody cancelled the job.
        Superseded: a newer request of its session came.
        Timeout: it did not end within the time limit; it is cancelled.
        NotReady: the service stops before it can end; it is cancelled.
        CompositionError: the job's own error.
    """
    if request.callback_url is not None:
        raise InvalidInput("callback_url is only for the asynchronous endpoints", details={"field": "callback_url"})
    deadline = deadline_of(context, spent_s)
    job = await submit(
        context, request, kind=kind, owner=owner, priority=Priority.INTERACTIVE, charge=charge, deadline=deadline
    )
    return await wait_for_end(context, job, deadline=deadline)


def deadline_of(context: ApiContext, spent_s: float) -> float:
    """Until when, by the running loop's clock, a caller waits whose request took so long to be read."""
    return asyncio.get_running_loop().time() + context.config.limits.request_timeout_seconds - spent_s


async def wait_for_end(context: ApiContext, job: Job, *, deadline: float) -> Job:
    """The job, completed; a caller that stops waiting (its task is cancelled) cancels it.

    Raises: as `run_interactive`.
    """
    limit_s = context.config.limits.request_timeout_seconds
    try:
        async with asyncio.timeout_at(deadline):
            ended = await context.queue.wait(job.id)
    except TimeoutError as error:
        await _abandon(context, job)
        raise Timeout(f"the request took longer than {limit_s:g} s") from error
    except (asyncio.CancelledError, NotReady):
        await asyncio.shield(_abandon(context, job))
        raise
    if ended.error is None and ended.status is JobStatus.CANCELLED:
        raise Cancelled("the job was cancelled")
    if ended.error is not None:
        failure = from_code(ended.error.code, ended.error.message, ended.error.details)
        if isinstance(failure, NotReady):
            failure.retry_after_s = STARTING_RETRY_AFTER_S
        with for_who_waits():
            raise failure
    if ended.result is None:
        raise InternalError("the job ended without a result")
    return ended


async def load_result(context: ApiContext, job: Job) -> dict[str, Any] | None:
    """The result object of a completed job with its images or their URLs; None once they are gone.

    The images of an interactive job are deleted when they have been delivered.
    """
    result = job.result
    if result is None:
        return None
    by_url = job.payload.response_format is ResponseFormat.URL
    try:
        keys = result.image_keys if result.video_key is None else (result.video_key,)
        files = [] if by_url else [await context.blobs.get(key) for key in keys]
        mask = await context.blobs.get(result.mask_key) if result.mask_key else None
    except NotFound:
        return None
    return await _in_thread(context, to_result, job, files=files, mask=mask)


async def delivered_result(context: ApiContext, job: Job) -> dict[str, Any]:
    """For a caller that asks for nothing else. Raises: NotFound when its images are not kept any more."""
    result = await load_result(context, job)
    if result is None:
        raise images_gone(job)
    return result


def images_gone(job: Job) -> NotFound:
    """What is said of a completed job whose images were delivered and deleted, or lost with their storage."""
    return NotFound(IMAGES_GONE, details={"job_id": job.id, "status": job.status.value})


async def stored_image(context: ApiContext, job: Job, key: str) -> bytes:
    """One of the files of a completed job's result. Raises: NotFound when it is not kept any more."""
    try:
        return await context.blobs.get(key)
    except NotFound:
        raise images_gone(job) from None


async def delivered_images(context: ApiContext, job: Job) -> list[bytes]:
    """The candidates' files of a completed edit. Raises: NotFound when they are not kept any more."""
    keys = job.result.image_keys if job.result is not None else ()
    return [await stored_image(context, job, key) for key in keys]


@contextmanager
def for_who_waits() -> Iterator[None]:
    """What a waiting caller's job has lost the caller can bring again: NotReady, where others are told NotFound."""
    try:
        yield
    except NotFound as gone:
        raise NotReady(gone.message, details=gone.details, retry_after_s=STARTING_RETRY_AFTER_S) from gone


async def forget_images(context: ApiContext, job: Job) -> None:
    """Delete what was delivered; images behind URLs stay as long as their job."""
    if job.result is not None and job.payload.response_format is not ResponseFormat.URL:
        try:
            await context.blobs.delete(job.result.blob_keys)
        except NotReady as error:
            logger.warning("job %s: its images stay until the job expires: %s", job.id, error)


def _check_delivery(request: Submitted, kind: JobKind, priority: Priority) -> None:
    """Raises: InvalidInput: the images cannot be delivered as asked."""
    asked = request.response_format
    if kind is JobKind.ANALYZE and asked is not ResponseFormat.JSON:
        raise InvalidInput(
            f"response_format {asked.value}: an analysis has no image, it answers json",
            details={"field": "response_format"},
        )
    if asked is ResponseFormat.BINARY and priority is not Priority.INTERACTIVE:
        raise InvalidInput(
            "response_format binary is for callers that wait; a job's image is at /api/v1/jobs/{job_id}/image",
            details={"field": "response_format"},
        )


def _check_edits(request: Submitted, most: int) -> None:
    """Raises: InvalidInput: they are more than the operator allows."""
    count = len(request.each_edit)
    if count > most:
        raise InvalidInput(
            f"edits: {count} are more than the {most} that are allowed here (generation.max_edits)",
            details={"field": "edits", "max_edits": most},
        )


def _check_views(request: Submitted, config: Config) -> None:
    """Raises: InvalidInput: they would not fit into one step of the diffusion model, which they take together."""
    count, most = len(request.photographs), config.generation.rows
    rows = rows_of(count, pace(to_options(request.config), config)[1])
    if count > 1 and rows > most:
        raise InvalidInput(
            f"base_images: {count} views take {rows} rows of a forward, and {most} are allowed here "
            "(generation.max_rows): send fewer, or a guidance_scale of 1, which halves the rows",
            details={"field": "base_images", "rows": rows, "max_rows": most},
        )


async def _abandon(context: ApiContext, job: Job) -> None:
    try:
        await context.queue.cancel(job.id, owner=job.owner)
    except (NotFound, NotReady):
        return


def _options(context: ApiContext, request: Submitted) -> EditOptions:
    """Those of a clip have a seed in any case, so that another attempt goes on with the same noise.

    Raises: InvalidInput: the service cannot write the file that a clip is to become.
    """
    options = to_options(request.config)
    if not isinstance(request, VideoRequest):
        return options
    if request.output is not None:
        context.videos.check_output(request.output)
    return options if options.seed is not None else replace(options, seed=secrets.randbelow(MAX_SEED + 1))


async def _inspect(context: ApiContext, request: VideoRequest, file: bytes) -> VideoOfPayload:
    facts = await _decode(context, "video", context.videos.inspect, file)
    return VideoOfPayload(output=request.output or facts.container, frames=facts.frames)


async def _load_images(context: ApiContext, request: Submitted, options: EditOptions) -> _Images:
    given = request.images
    loaded = await _all(*(_load(context, name, image) for name, image in given.items()))
    files = dict(zip(given, loaded, strict=True))
    measure = partial(context.codec.measure, oversize=options.oversize)
    video = await _inspect(context, request, files["video"]) if isinstance(request, VideoRequest) else None
    for name in () if video is not None else request.photographs:
        size = await _decode(context, name, measure, files[name])
        with naming(name):
            _check_minimum(size, context.config.limits.min_resolution)
        if options.mark is not None:
            options.mark.check_inside(await _decode(context, name, context.codec.size_as_sent, files[name]))
    read = partial(context.codec.decode_mask, mode=options.mask_mode, oversize=options.oversize)
    for name, file in files.items():
        if name.endswith("mask_image"):
            reading = await _decode(context, name, read, file)
            with naming(name):
                _check_mask(reading.mask, size)
        elif name not in request.photographs:
            await _decode(context, name, measure, file)
    return _Images(photographs=request.photographs, named=files, video=video)


async def _load(context: ApiContext, field: str, image: str | Upload) -> bytes:
    with naming(field):
        if isinstance(image, Upload):
            if not image.data:
                raise InvalidInput("is empty")
            return image.data
        if is_url(image):
            return await context.fetcher.fetch(image.strip())
        return await _in_thread(context, decode_inline, image)


async def _decode(context: ApiContext, field: str, decode: Callable[[bytes], T], data: bytes) -> T:
    with naming(field):
        return await _in_thread(context, decode, data)


def _check_minimum(size: tuple[int, int], min_side_px: int) -> None:
    width, height = size
    if min(size) < min_side_px:
        raise UnprocessableImage(
            f"the image is {width}x{height} pixels, at least {min_side_px} per side are needed",
            details={"min_side_px": min_side_px},
        )


def _check_mask(mask: Mask, base_size: tuple[int, int]) -> None:
    if mask.shape != base_size[::-1]:
        sizes = {"mask": f"{mask.shape[1]}x{mask.shape[0]}", "base": f"{base_size[0]}x{base_size[1]}"}
        raise UnprocessableImage(f"the mask is {sizes['mask']} pixels, the base image {sizes['base']}", details=sizes)


async def _store(context: ApiContext, request: Submitted, images: _Images, options: EditOptions) -> EditPayload:
    """Put the files into blobs; those already stored are deleted again when one fails."""
    keys: dict[str, str] = {}
    try:
        for name, data in images.named.items():
            keys[name] = await context.blobs.put(data)
    except BaseException:
        await asyncio.shield(context.blobs.delete(list(keys.values())))
        raise
    edits = tuple(
        EditOfPayload(
            prompt=edit.prompt,
            negative_prompt=edit.negative_prompt,
            reference_keys=tuple(keys[name] for name in images.references(f"edits.{number}.")),
            reference_uses=uses_of(edit.reference_images, keys, f"edits.{number}."),
            mask_key=keys.get(f"edits.{number}.mask_image"),
            options=own_options(edit),
        )
        for number, edit in enumerate(request.each_edit)
    )
    base, *views = images.photographs
    return EditPayload(
        prompt=request.prompt or "",
        base_key=keys[base],
        negative_prompt=request.negative_prompt,
        reference_keys=tuple(keys[name] for name in images.references()),
        reference_uses=uses_of(request.reference_images, keys, ""),
        mask_key=keys.get("mask_image"),
        n=request.candidates,
        response_format=request.response_format,
        options=options,
        edits=edits,
        view_keys=tuple(keys[name] for name in views),
        video=images.video,
    )


def _left_s(deadline: float) -> float:
    return max(0.0, deadline - asyncio.get_running_loop().time())


def _digest(request: Submitted) -> str:
    """Of what the request means, not of how it was spelled: key order, white space and defaults do not matter.

    So it is the same after an upgrade that brings new fields.
    """
    return hashlib.sha256(request.model_dump_json(exclude_defaults=True).encode()).hexdigest()


async def _in_thread(context: ApiContext, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await anyio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=context.decode_slots)


async def _all(*awaitables: Any) -> Sequence[bytes]:
    """Like gather, but the first failure cancels the others."""
    tasks: list[asyncio.Task[bytes]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(awaitable) for awaitable in awaitables]
    except BaseExceptionGroup as group_error:
        raise group_error.exceptions[0] from None
    return [task.result() for task in tasks]
