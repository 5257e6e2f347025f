"""JSON bodies are counted before they are parsed: a parser makes gigabytes of fifty megabytes of tiny values."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

MAX_PARTS = 10_000
"""Commas and opening brackets in a body: a request has a few dozen, and its images' base64 none."""


class BoundedJsonRequest(Request):
    """A request whose `json` refuses bodies of very many parts."""

    async def json(self) -> Any:
        """Raises: json.JSONDecodeError, which the framework turns into a validation error."""
        return parse_json(await self.body())


def parse_json(text: bytes) -> Any:
    """Raises: json.JSONDecodeError, also for very many parts, deep nesting and what is not UTF-8."""
    if sum(text.count(mark) for mark in (b",", b"[", b"{")) > MAX_PARTS:
        raise json.JSONDecodeError(f"more than {MAX_PARTS} parts", "", 0)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise json.JSONDecodeError("too deeply nested", "", 0) from error
    except UnicodeDecodeError as error:
        raise json.JSONDecodeError("not UTF-8", "", 0) from error


class BoundedJsonRoute(APIRoute):
    """A route that reads its body as `BoundedJsonRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            return await handler(BoundedJsonRequest(request.scope, request.receive))

        return bounded
