"""Edits and their jobs as tools: arguments -> the same jobs as over REST -> **answer**.

An edit may take longer than a caller may wait, so `edit` answers the job, and `job` waits for it a little at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from api.context import ApiContext
from api.conversion import to_status, video_url
from api.errors import about_field, validated
from api.mcp.tool import Caller, Schema, Tool, ToolAnswer, ToolFile
from api.routes.jobs import known_form
from api.schemas import CLIP_FIELD, IMAGE_FIELDS, IMAGE_LISTS, GenerateRequest, VideoRequest, ViewsRequest
from api.submission import (
    Submitted,
    delivered_images,
    for_who_waits,
    forget_images,
    run_interactive,
    stored_image,
    submit,
)
from composition.jobs import Job, JobKind, JobStatus, Priority

R = TypeVar("R", bound=BaseModel)

MAX_WAIT_S: Final = 30.0
MAX_FILE_BYTES: Final = 16 << 20
"""A clip's file that is larger is not in an answer, which is one message; its URL is."""
_MASK_TYPE: Final = "image/png"
_NOT_HERE: Final = ("callback_url", "response_format")
"""Fields of a request that say how its answer is delivered over HTTP."""


class JobArguments(BaseModel):
    """The arguments of `cancel`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    job_id: Annotated[str, Field(max_length=100, description="As `edit`, `edit_views` or `edit_video` answered it.")]


class WaitArguments(JobArguments):
    """The arguments of `job`."""

    wait_s: Annotated[
        float, Field(ge=0, le=MAX_WAIT_S, description="Seconds to wait for the job's end before answering.")
    ] = 10.0


async def analyze(context: ApiContext, caller: Caller, arguments: Mapping[str, Any]) -> ToolAnswer:
    """The decision and the mask of the same edit."""
    request = _request(GenerateRequest, arguments)
    job = await run_interactive(context, request, kind=JobKind.ANALYZE, owner=caller.owner, charge=caller.charge)
    assert job.result is not None
    with for_who_waits():
        answer = ToolAnswer(facts={"job_id": job.id, **job.result.account}, images=await _images(context, job))
    await forget_images(context, job)
    return answer


async def edit(context: ApiContext, caller: Caller, arguments: Mapping[str, Any]) -> ToolAnswer:
    """A durable job, as of POST /api/v1/generate/async."""
    return await _submitted(context, caller, _request(GenerateRequest, arguments))


async def edit_views(context: ApiContext, caller: Caller, arguments: Mapping[str, Any]) -> ToolAnswer:
    """A durable job, as of POST /api/v1/views/async."""
    return await _submitted(context, caller, _request(ViewsRequest, arguments))


async def edit_video(context: ApiContext, caller: Caller, arguments: Mapping[str, Any]) -> ToolAnswer:
    """A durable job, as of POST /api/v1/video."""
    return await _submitted(context, caller, _request(VideoRequest, arguments))


async def _submitted(context: ApiContext, caller: Caller, request: Submitted) -> ToolAnswer:
    job = await submit(
        context,
        request,
        kind=JobKind.EDIT,
        owner=caller.owner,
        priority=Priority.BATCH,
        charge=caller.charge,
    )
    return ToolAnswer(facts=to_status(job, None))


async def follow(context: ApiContext, caller: Caller, arguments: Mapping[str, Any]) -> ToolAnswer:
    """How far a job is; its images, or its clip with the first frame, once it is completed."""
    asked = validated(WaitArguments, dict(arguments))
    job = await context.queue.get(known_form(asked.job_id), owner=caller.owner)
    if not job.status.terminal and asked.wait_s:
        try:
            async with asyncio.timeout(asked.wait_s):
                job = await context.queue.wait(job.id)
        except TimeoutError:
            job = await context.queue.get(job.id, owner=caller.owner)
    if job.status is not JobStatus.COMPLETED or job.result is None:
        return ToolAnswer(facts=to_status(job, None))
    result, images = dict(job.result.account), await _images(context, job)
    if job.result.video_key is None:
        return ToolAnswer(facts=to_status(job, result), images=images)
    result |= {"video_url": video_url(job.id), "media_type": job.result.video_media_type}
    return ToolAnswer(facts=to_status(job, result), images=images, file=await _clip(context, job, job.result.video_key))


async def cancel(context: ApiContext, caller: Caller, arguments: Mapping[str, Any]) -> ToolAnswer:
    """Idempotent."""
    job_id = known_form(validated(JobArguments, dict(arguments)).job_id)
    return ToolAnswer(facts=to_status(await context.queue.cancel(job_id, owner=caller.owner), None))


async def _images(context: ApiContext, job: Job) -> tuple[tuple[bytes, str], ...]:
    """Every image of a result, the mask last. Raises: NotFound when they are not kept any more."""
    result = job.result
    assert result is not None
    media_type = result.image_media_type or _MASK_TYPE
    async with context.delivery_slots:
        images = [(image, media_type) for image in await delivered_images(context, job)]
        if result.mask_key is not None:
            images.append((await stored_image(context, job, result.mask_key), _MASK_TYPE))
    return tuple(images)


async def _clip(context: ApiContext, job: Job, key: str) -> ToolFile | None:
    """None of one that is too large. Raises: NotFound when it is not kept any more."""
    async with context.delivery_slots:
        data = await stored_image(context, job, key)
    assert job.result is not None
    if len(data) > MAX_FILE_BYTES:
        return None
    return ToolFile(data=data, media_type=str(job.result.video_media_type), url=video_url(job.id))


def _request(kind: type[R], arguments: Mapping[str, Any]) -> R:
    """Raises: InvalidInput."""
    for name in arguments:
        if name in _NOT_HERE:
            raise about_field(name, "", "extra_forbidden")
    body = _with_images_as_text(arguments)
    if isinstance(body.get("edits"), list):
        body["edits"] = [_with_images_as_text(one) if isinstance(one, dict) else one for one in body["edits"]]
    return validated(kind, body)


def _with_images_as_text(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request, or of one of its edits, as REST has them."""
    body = dict(fields)
    for name, value in fields.items():
        if name in IMAGE_FIELDS:
            body[name] = _image_text(value)
        elif name == CLIP_FIELD:
            body[name] = _file_text(value)
        elif name in IMAGE_LISTS and isinstance(value, list):
            body[name] = [_reference(one) for one in value]
    return body


def _reference(value: Any) -> Any:
    """An image, or an object with one and, where the part that it is for is drawn, with another one."""
    if not isinstance(value, dict) or "image" not in value:
        return _image_text(value)
    reference = {**value, "image": _image_text(value["image"])}
    if isinstance(part := value.get("for"), dict) and "mask_image" in part:
        reference["for"] = {**part, "mask_image": _image_text(part["mask_image"])}
    return reference


def _image_text(value: Any) -> Any:
    """An image as the protocol has it is base64 as well."""
    if isinstance(value, dict) and value.get("type") == "image":
        return value.get("data")
    return value


def _file_text(value: Any) -> Any:
    """A file as the protocol has it, an embedded resource, is base64 as well."""
    if isinstance(value, dict) and value.get("type") == "resource" and isinstance(value.get("resource"), dict):
        return value["resource"].get("blob")
    return value


def _schema_of(request: type[BaseModel]) -> Schema:
    schema = request.model_json_schema()
    schema.pop("example", None)
    for name in _NOT_HERE:
        del schema["properties"][name]
    for model in (schema, *schema["$defs"].values()):
        _take_content(model.get("properties", {}))
    schema["$defs"]["ImageContent"] = {
        "type": "object",
        "description": "An image as the protocol has it.",
        "properties": {"type": {"const": "image"}, "data": {"type": "string"}, "mimeType": {"type": "string"}},
        "required": ["type", "data"],
    }
    if CLIP_FIELD in schema["properties"]:
        schema["$defs"]["FileContent"] = {
            "type": "object",
            "description": "A file as the protocol has it: an embedded resource.",
            "properties": {
                "type": {"const": "resource"},
                "resource": {"type": "object", "properties": {"blob": {"type": "string"}}, "required": ["blob"]},
            },
            "required": ["type", "resource"],
        }
    return schema


def _take_content(properties: Schema) -> None:
    """Let the images and the clip among a model's properties be the protocol's as well."""
    for name in properties.keys() & {*IMAGE_FIELDS, "image"}:
        properties[name] = _or_as_content(properties[name])
    for name in properties.keys() & {CLIP_FIELD}:
        properties[name] = _or_as_content(properties[name], "FileContent")
    for name in properties.keys() & set(IMAGE_LISTS):
        listed = next(one for one in properties[name].get("anyOf", [properties[name]]) if one["type"] == "array")
        listed["items"] = _or_as_content(listed["items"])


def _or_as_content(file: Schema, content: str = "ImageContent") -> Schema:
    choices = file.pop("anyOf", None) or [{"type": file.pop("type"), "minLength": file.pop("minLength")}]
    return {**file, "anyOf": [*choices, {"$ref": f"#/$defs/{content}"}]}


_EDIT_SCHEMA: Final = _schema_of(GenerateRequest)

TOOLS: Final[Mapping[str, Tool]] = {
    "analyze": Tool(
        description="Say what an edit of a photo would do, without doing it: what it would repaint (a mask image), by "
        "which pipeline, and why. Takes the arguments of edit.",
        schema=_EDIT_SCHEMA,
        reads_only=True,
        run=analyze,
    ),
    "edit": Tool(
        description="Repaint just the part of a photo that a sentence is about, e.g. 'blue car', or 'person wearing "
        "this jacket' with a reference image; every other pixel stays. `edits` makes several edits of the photo in "
        "one pass. Answers a job_id at once: call job with it until its status is completed; the result's "
        "metadata.warnings say what did not act.",
        schema=_EDIT_SCHEMA,
        reads_only=False,
        run=edit,
    ),
    "edit_views": Tool(
        description="The same edit of 2 to 8 photographs of one thing (`base_images`), which gets one look in all of "
        "them, e.g. a car from four sides. Answers a job_id as edit does; the images come in the photographs' order.",
        schema=_schema_of(ViewsRequest),
        reads_only=False,
        run=edit_views,
    ),
    "edit_video": Tool(
        description="The same edit of every frame of a clip (`video`: a GIF or animated WebP, MP4 and WebM where the "
        "service has them), steady from frame to frame. Answers a job_id as edit does, and takes minutes; `job` gives "
        "the clip and its first frame as an image.",
        schema=_schema_of(VideoRequest),
        reads_only=False,
        run=edit_video,
    ),
    "job": Tool(
        description="How far an edit is (status, progress), and its image, or its clip, once it is completed.",
        schema=WaitArguments.model_json_schema(),
        reads_only=True,
        run=follow,
    ),
    "cancel": Tool(
        description="Stop an edit that is no longer wanted; one that has ended stays as it is.",
        schema=JobArguments.model_json_schema(),
        reads_only=False,
        run=cancel,
    ),
}
