"""An edit as a form: the fields of the JSON body as parts, its images and its clip as files.

A form is translated to the value that the same JSON body would have, and goes on as that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping, Set
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import anyio.to_thread
from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from api.bodies import BoundedJsonRoute, max_body_bytes
from api.context import current_context
from api.errors import about_field
from api.json_reader import BLOCK_BYTES, JsonReader
from api.multipart import MEDIA_TYPE, Form, FormLimits, RefusedForm, Upload, is_form, read_form
from api.schemas import FILE_FIELDS, IMAGE_LISTS, GenerateRequest, VideoRequest, ViewsRequest
from api.security.answers import refuse

Schema = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class EditForm:
    """A request as a form.

    Attributes:
        files: names of the parts that are images or a clip, as files or as JSON has them.
        lists: those of them of which there may be several.
        texts: names of the other parts.
        plain: those of them that are taken as they are; the rest is JSON.
        schema: for the OpenAPI document.
    """

    files: Set[str]
    lists: Set[str]
    texts: Set[str]
    plain: Set[str]
    schema: Schema

    @classmethod
    def of(cls, request: type[BaseModel], *, title: str) -> EditForm:
        """The form of a JSON body."""
        schema = request.model_json_schema(ref_template="#/components/schemas/{model}")
        properties: Mapping[str, Schema] = schema["properties"]
        lists = properties.keys() & set(IMAGE_LISTS)
        files = lists | properties.keys() & set(FILE_FIELDS)
        return cls(
            files=files,
            lists=lists,
            texts=properties.keys() - files,
            plain={name for name, one in properties.items() if _is_text(one, schema.get("$defs", {}))},
            schema={
                "title": title,
                "description": "The same fields as parts: files as files (or text, as in JSON), what is no text as "
                "JSON.",
                "type": "object",
                "properties": {n: _as_file(one) if n in files else one for n, one in properties.items()},
                "required": schema["required"],
                "additionalProperties": False,
            },
        )

    def to_body(self, form: Form) -> dict[str, Any]:
        """What the JSON body would have been; fields that are no text are sent as JSON. Of large ones it takes a while.

        Raises:
            InvalidInput: a field is given twice, or is not valid JSON.
        """
        body: dict[str, Any] = {}
        for name, values in form.items():
            if name in self.lists:
                given = [value for value in values if isinstance(value, Upload) or value.strip()]
                body[name] = [_object_or(name, value) for value in given]
                continue
            if len(values) > 1:
                raise about_field(name, f"is given {len(values)} times", "repeated")
            for value in values:
                if isinstance(value, Upload) or name in self.plain:
                    body[name] = value
                elif value.strip():
                    body[name] = _parsed(name, value)
        return body


def _is_text(schema: Schema, models: Schema) -> bool:
    if "$ref" in schema:
        return _is_text(models[schema["$ref"].rpartition("/")[2]], models)
    return schema.get("type") == "string" or any(_is_text(choice, models) for choice in schema.get("anyOf", ()))


def _as_file(schema: Schema) -> Schema:
    """Of an image, a list of them, or a clip, as a file of a form."""
    title, file = {"title": schema["title"]}, {"type": "string", "format": "binary"}
    listed = next((one for one in schema.get("anyOf", [schema]) if one["type"] == "array"), None)
    return {**title, **file} if listed is None else {**title, **listed, "items": file}


GENERATE_FORM: Final = EditForm.of(GenerateRequest, title="GenerateForm")
VIEWS_FORM: Final = EditForm.of(ViewsRequest, title="ViewsForm")
VIDEO_FORM: Final = EditForm.of(VideoRequest, title="VideoForm")


class EditRoute(BoundedJsonRoute):
    """A route that takes an edit as JSON or as a form."""

    form: ClassVar[EditForm]

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        from_json, from_value = super().get_route_handler(), APIRoute.get_route_handler(self)

        async def handler(request: Request) -> Response:
            if not is_form(request):
                return await from_json(request)
            form = await form_of(request, files=self.form.files, texts=self.form.texts)
            return await from_value(_ReadRequest(request, await anyio.to_thread.run_sync(self.form.to_body, form)))

        return handler


class GenerateRoute(EditRoute):
    """Of one photograph."""

    form = GENERATE_FORM


class ViewsRoute(EditRoute):
    """Of several photographs of one thing."""

    form = VIEWS_FORM


class VideoRoute(EditRoute):
    """Of a clip."""

    form = VIDEO_FORM


async def form_of(request: Request, *, files: Set[str], texts: Set[str]) -> Form:
    """A request's form, whose parts may have these names. Raises: RefusedForm, which `refused_form` answers."""
    max_bytes = max_body_bytes(current_context(request).config.api)
    limits = FormLimits(
        files=frozenset(files), texts=frozenset(texts), max_total_bytes=max_bytes, max_file_bytes=max_bytes
    )
    return await read_form(request, limits)


async def refused_form(request: Request, refused: Exception) -> Response:
    """The application's answer to a `RefusedForm`."""
    assert isinstance(refused, RefusedForm)
    return _RefusedBody(refused, max_body_bytes=max_body_bytes(current_context(request).config.api))


class _RefusedBody(Response):
    """The answer to a form that was not read to its end, given as a guard gives it."""

    def __init__(self, refused: RefusedForm, *, max_body_bytes: int) -> None:
        super().__init__(status_code=refused.error.status)
        self._refused = refused
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error, drain = self._refused.error, not self._refused.complete
        await refuse(error, scope, receive, send, max_body_bytes=self._max_body_bytes, drain=drain)


class _ReadRequest(Request):
    """A request whose body has been read, and means a value."""

    def __init__(self, request: Request, value: Any) -> None:
        headers = [(name, text) for name, text in request.scope["headers"] if name != b"content-type"]
        headers.append((b"content-type", b"application/json"))
        super().__init__({**request.scope, "headers": headers}, request.receive)
        self._value = value

    async def body(self) -> bytes:
        return b"a form"

    async def json(self) -> Any:
        return self._value


def _parsed(name: str, text: str) -> Any:
    reader, data = JsonReader(), text.encode()
    for begin in range(0, len(data), BLOCK_BYTES):
        reader.feed(data[begin : begin + BLOCK_BYTES])
    try:
        return reader.value()
    except ValueError as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise about_field(name, f"is not valid JSON: {reason}", "json_type") from error


def _object_or(name: str, value: str | Upload) -> Any:
    """One of a list of images, as which an object may stand: no image's text looks like one."""
    return _parsed(name, value) if isinstance(value, str) and value.lstrip().startswith("{") else value


_REQUEST_ID: Final[Schema] = {
    "name": "X-Request-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 128},
    "description": "Answered in the header of the same name, and in the log.",
}


def form_body(schema: Schema) -> Schema:
    """The `openapi_extra` of a route that takes a form; `documentation` has the schema under its title."""
    reference = {"$ref": f"#/components/schemas/{schema['title']}"}
    return {
        "requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": reference}}},
        # Client generators need an optional parameter to get a choice of bodies right; this one every route takes.
        "parameters": [_REQUEST_ID],
    }
