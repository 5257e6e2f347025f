"""No body over the limit gets past: a declared length is checked at once, a chunked body is counted as it comes.

All bodies that are being answered share a budget too, and a sender that stalls is given up: neither many clients nor
slow ones can fill the memory or hold connections for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.budgets import STREAMS_AT_ONCE, BudgetPart, SharedBudget
from api.security.answers import refuse
from api.security.rate_limit import client_of
from composition.errors import CompositionError, PayloadTooLarge, QueueFull, Timeout

logger = logging.getLogger(__name__)

BODIES_AT_ONCE = 16
"""The shared budget, in bodies of the largest allowed size; half of it for one client."""
STALL_TIMEOUT_S = 20.0
"""Between two pieces of a body; and in all, with a second more for each `SLOWEST_BYTES_PER_S` that have come."""
SLOWEST_BYTES_PER_S = 1024
"""Slower than any line that a photo is sent over: a byte every few seconds holds a connection, and no more."""
BUSY_RETRY_AFTER_S = 5


class BodyLimitGuard:
    """Answers 413, 503 or 504 for a body that is too large, one too many, or stalls, whatever the app made of it.

    `streamed` has limits of their own for paths whose bodies are not held in memory: they take nothing of the shared
    budget, and only a few of them come at a time.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int,
        streamed: Mapping[str, int] | None = None,
        stall_timeout_s: float = STALL_TIMEOUT_S,
    ) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._stall_timeout_s = stall_timeout_s
        self._budget = SharedBudget(BODIES_AT_ONCE * max_body_bytes)
        self._streamed = {path: (size, SharedBudget(STREAMS_AT_ONCE)) for path, size in (streamed or {}).items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        streamed = scope["method"] == "POST" and scope["path"] in self._streamed
        max_bytes, streams = self._streamed[scope["path"]] if streamed else (self._max_body_bytes, None)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > max_bytes:
            await self._refuse(_too_large(max_bytes), scope, receive, send)
            return
        client = client_of(scope)
        stream = streams.part(client) if streams is not None else None
        if stream is not None and not stream.take(1):
            await self._refuse(_too_many(), scope, receive, send)
            return
        body = _WatchedBody(
            receive,
            send,
            max_bytes=max_bytes,
            stall_timeout_s=self._stall_timeout_s,
            part=self._budget.part(client) if stream is None else None,
        )
        try:
            await self._app(scope, body.receive, body.send)
        except Exception as error:
            if body.refusal is None:
                raise
            logger.info("a route gave up on a refused body: %r", error)
        finally:
            body.release()
            if stream is not None:
                stream.release()
        if body.refusal is not None and not body.answered:
            await self._refuse(body.refusal, scope, receive, send)

    async def _refuse(self, error: CompositionError, scope: Scope, receive: Receive, send: Send) -> None:
        stalls = isinstance(error, Timeout)
        await refuse(error, scope, receive, send, max_body_bytes=self._max_body_bytes, drain=not stalls)


def _too_large(max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"the request body is larger than {max_bytes / 2**20:g} MB", details={"max_bytes": max_bytes}
    )


def _too_many() -> QueueFull:
    return QueueFull("too many large requests at once", retry_after_s=BUSY_RETRY_AFTER_S)


class _WatchedBody:
    """Stands between the server and the app: counts what is received, and mutes an app whose request is refused.

    Attributes:
        refusal: why the body was refused, before the app answered; None when it was not.
        answered: the app's response has started.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        max_bytes: int,
        stall_timeout_s: float,
        part: BudgetPart | None,
    ) -> None:
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes
        self._stall_timeout_s = stall_timeout_s
        self._part = part
        self._received_bytes = 0
        self._waited_s = 0.0
        self._complete = False
        self.refusal: CompositionError | None = None
        self.answered = False

    async def receive(self) -> Message:
        """The next message; once the body is refused the app is told that the client has left, so that it stops."""
        if self.refusal is not None:
            return {"type": "http.disconnect"}
        if self._complete:
            return await self._receive()
        message = await self._next_piece()
        return message if self.refusal is None else {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.refusal is not None and not self.answered:
            return
        self.answered = True
        await self._send(message)

    def release(self) -> None:
        """Give the budget back what the body took."""
        if self._part is not None:
            self._part.release()

    async def _next_piece(self) -> Message:
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        earned_s = self._received_bytes / SLOWEST_BYTES_PER_S
        limit_s = self._stall_timeout_s + min(0.0, earned_s - self._waited_s)
        try:
            async with asyncio.timeout(limit_s):
                message = await self._receive()
        except TimeoutError:
            self._refuse(self._too_slow(stalls=limit_s == self._stall_timeout_s))
            return {"type": "http.disconnect"}
        self._waited_s += loop.time() - began_at
        if message["type"] != "http.request":
            return message
        size_bytes = len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._received_bytes + size_bytes > self._max_bytes:
            self._refuse(_too_large(self._max_bytes))
        elif self._part is None or self._part.take(size_bytes):
            self._received_bytes += size_bytes
        else:
            self._refuse(_too_many())
        return message

    def _too_slow(self, *, stalls: bool) -> Timeout:
        if stalls:
            return Timeout(f"the request body stalled for {self._stall_timeout_s:g} s")
        return Timeout(f"the request body comes too slowly: below {SLOWEST_BYTES_PER_S} bytes a second")

    def _refuse(self, error: CompositionError) -> None:
        if not self.answered:
            self.refusal = error
