"""How a guard answers: the envelope at once, then reading off a bounded part of a body that nobody wants.

A server that closes a connection with unread input resets it, and the client loses the answer; so a guard that
refuses a request leaves the answer open, complete as it is, and reads on for a while.
"""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from api.errors import error_response
from composition.errors import CompositionError

DRAIN_TIMEOUT_S = 10.0
DRAIN_FACTOR = 4
"""Of the body limit: this much more is read off before the connection is given up."""

OPEN_PATHS = frozenset({"/api/v1/health", "/healthz", "/livez", "/readyz"})
"""For probes and load balancers: neither authenticated nor counted."""
PAGE_PREFIX = "/page/"
"""What the page at / loads. The page itself holds nothing of anybody; the API behind it asks for the key."""
ADMIN_PREFIX = "/api/v1/admin/"
"""These ask for a key of their own."""
DOCUMENTATION_PATHS = frozenset({"/", "/docs", "/docs.json", "/openapi.json", "/schema.json"})


def is_open(path: str) -> bool:
    """Whether a path needs no API key: probes, the documentation and the page; the admin's has a key of its own."""
    return path in OPEN_PATHS or path in DOCUMENTATION_PATHS or path.startswith((PAGE_PREFIX, ADMIN_PREFIX))


async def refuse(
    error: CompositionError, scope: Scope, receive: Receive, send: Send, *, max_body_bytes: int, drain: bool = True
) -> None:
    """Answer with the envelope and, if there is a body, read it off within limits and close the connection."""
    headers = Headers(scope=scope)
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    waits_for_leave = headers.get("expect", "").lower() == "100-continue"
    response = error_response(error, headers={"Connection": "close"} if has_body else None, path=scope["path"])
    if not has_body or not drain or waits_for_leave:
        await response(scope, receive, send)
        return

    async def send_left_open(message: Message) -> None:
        await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

    await response(scope, receive, send_left_open)
    await drain_body(receive, max_bytes=DRAIN_FACTOR * max_body_bytes)
    await send({"type": "http.response.body"})


async def drain_body(receive: Receive, *, max_bytes: int) -> None:
    """Read and drop what is left of a body, within a limit of size and time."""
    dropped = 0
    try:
        async with asyncio.timeout(DRAIN_TIMEOUT_S):
            while dropped <= max_bytes:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                dropped += len(message.get("body", b""))
    except TimeoutError:
        return
