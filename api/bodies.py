"""How a route gets its JSON body: parsed while it arrives, so that a large one holds up nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from api.json_reader import BLOCK_BYTES, JsonReader
from composition.config import ApiConfig
from composition.errors import InvalidInput

_STAND_IN = b"(parsed as it came)"


def max_body_bytes(config: ApiConfig) -> int:
    """How large a request's body may be, whatever it is."""
    return config.max_request_size_mb * 2**20


class BoundedJsonRequest(Request):
    """A request whose body is kept as what it says, never as its bytes."""

    _reader: JsonReader | None = None

    async def body(self) -> bytes:
        """Reads all of it. The framework wants to know only whether there is any: what comes back stands for it."""
        if self._reader is None:
            reader, stand_in = JsonReader(), b""
            async for piece in fed(reader, self.stream()):
                stand_in = _STAND_IN if piece else stand_in
            self._reader, self._body = reader, stand_in
        return self._body

    async def json(self) -> Any:
        """Raises: as `JsonReader.value`; the framework makes validation errors of it."""
        await self.body()
        assert self._reader is not None
        return self._reader.value()


async def fed(reader: JsonReader, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A body's pieces, each given to the reader block by block before it is passed on."""
    async for piece in pieces:
        for begin in range(0, len(piece), BLOCK_BYTES):
            reader.feed(piece[begin : begin + BLOCK_BYTES])
            await asyncio.sleep(0)
        yield piece


async def pieces_of(request: Request) -> AsyncIterator[bytes]:
    """A request's body as it comes. Raises: InvalidInput, which nobody will read, when the client leaves."""
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect as error:
        raise InvalidInput("the client has left") from error


class BoundedJsonRoute(APIRoute):
    """A route that reads its body as `BoundedJsonRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            return await handler(BoundedJsonRequest(request.scope, request.receive))

        return bounded
