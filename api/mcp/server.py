"""The tools over streamable HTTP at POST /mcp, by the protocol's own SDK, which is an optional package.

Each request is complete in itself: no session is kept, so that any of several API processes can answer it, and nothing
is lost with one. Who asks, how often, and how much is the guards' business, as everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, Request
from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from api.bodies import fed, max_body_bytes, pieces_of
from api.context import current_charge, current_context, current_owner
from api.conversion import in_base64
from api.errors import error_body, unexpected
from api.json_reader import JsonReader
from api.mcp import edits, loras
from api.mcp.tool import Caller, Tool, ToolAnswer, ToolFile
from api.security.rate_limit import client_of
from composition.errors import CompositionError, InvalidInput, NotFound

PATH = "/mcp"
INSTRUCTIONS = (
    "Edits photos by a sentence. edit answers a job_id, and so do edit_views, for several photos of one thing, and "
    "edit_video, for a clip; job waits for it and gives the images. analyze shows beforehand what would be repainted. "
    "loras lists styles that an edit may name."
)
TOOLS: Final[Mapping[str, Tool]] = {**edits.TOOLS, **loras.TOOLS}

router = APIRouter(include_in_schema=False)


@router.post(PATH)
async def exchange(request: Request) -> Response:
    """One message of the protocol and its answer."""
    reader = JsonReader()
    body = b"".join([piece async for piece in fed(reader, pieces_of(request))])
    try:
        reader.value()  # for the SDK, which reads it without bounds
    except ValueError as error:
        raise InvalidInput(f"body: is not valid JSON: {error}") from error
    return _Exchange(body, max_body_bytes=max_body_bytes(current_context(request).config.api))


class _Exchange(Response):
    """The answer of the SDK to a message that was read and found bounded."""

    def __init__(self, body: bytes, *, max_body_bytes: int) -> None:
        super().__init__()
        self._message: Message | None = {"type": "http.request", "body": body}
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def read() -> Message:
            message, self._message = self._message, None
            return message if message is not None else await receive()

        # The guards have looked at the origin.
        security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        manager = StreamableHTTPSessionManager(
            _SERVER,
            json_response=True,
            stateless=True,
            security_settings=security,
            max_request_body_size=self._max_body_bytes,
        )
        async with manager.run():
            await manager.handle_request(scope, read, send)


async def _list_tools(
    context: ServerRequestContext, params: types.PaginatedRequestParams | None
) -> types.ListToolsResult:
    return types.ListToolsResult(
        tools=[
            types.Tool(
                name=name,
                description=tool.description,
                input_schema=tool.schema,
                annotations=types.ToolAnnotations(read_only_hint=tool.reads_only, open_world_hint=False),
            )
            for name, tool in TOOLS.items()
        ]
    )


async def _call_tool(context: ServerRequestContext, params: types.CallToolRequestParams) -> types.CallToolResult:
    """A tool's error is a result too, so that the model that called it can read it."""
    request = context.request
    assert isinstance(request, Request)
    try:
        tool = TOOLS.get(params.name)
        if tool is None:
            raise NotFound(f"there is no tool {params.name[:100]!r}")
        caller = Caller(owner=current_owner(request), client=client_of(request.scope), charge=current_charge(request))
        return _told(await tool.run(current_context(request), caller, params.arguments or {}))
    except CompositionError as error:
        return _failed(error)
    except Exception as error:
        return _failed(unexpected(error, str(getattr(request.state, "request_id", "-"))))


def _told(answer: ToolAnswer) -> types.CallToolResult:
    facts = dict(answer.facts)
    text = types.TextContent(text=json.dumps(facts, ensure_ascii=False))
    images = [types.ImageContent(data=in_base64(data), mime_type=media_type) for data, media_type in answer.images]
    files = [] if answer.file is None else [_embedded(answer.file)]
    return types.CallToolResult(content=[text, *images, *files], structured_content=facts)


def _embedded(file: ToolFile) -> types.EmbeddedResource:
    blob = types.BlobResourceContents(uri=file.url, mime_type=file.media_type, blob=in_base64(file.data))
    return types.EmbeddedResource(resource=blob)


def _failed(error: CompositionError) -> types.CallToolResult:
    text = types.TextContent(text=f"{error.code}: {error.message}")
    return types.CallToolResult(content=[text], structured_content=error_body(error)["error"], is_error=True)


_SERVER = Server("image-composition", instructions=INSTRUCTIONS, on_list_tools=_list_tools, on_call_tool=_call_tool)
