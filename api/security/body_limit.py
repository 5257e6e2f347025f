"""No body over the limit gets past: a declared length is checked at once, a chunked body is counted as it comes."""

from __future__ import annotations

import logging

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.security.answers import refuse
from composition.errors import PayloadTooLarge

logger = logging.getLogger(__name__)


class BodyLimitGuard:
    """Answers 413 for a body over the limit, whatever the app makes of the part it saw."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > self._max_body_bytes:
            await self._refuse(scope, receive, send)
            return
        counted = _CountedBody(receive, send, self._max_body_bytes)
        try:
            await self._app(scope, counted.receive, counted.send)
        except Exception as error:
            if not counted.exceeded:
                raise
            logger.info("a route gave up on a body over the limit: %r", error)
        if counted.exceeded and not counted.answered:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit_mb = self._max_body_bytes / 2**20
        error = PayloadTooLarge(
            f"the request body is larger than {limit_mb:g} MB", details={"max_bytes": self._max_body_bytes}
        )
        await refuse(error, scope, receive, send, max_body_bytes=self._max_body_bytes)


class _CountedBody:
    """Stands between the server and the app: counts what is received, and mutes an app that saw too much.

    Attributes:
        exceeded: the limit was passed before the app answered.
        answered: the app's response has started.
    """

    def __init__(self, receive: Receive, send: Send, max_bytes: int) -> None:
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes
        self._received = 0
        self.exceeded = False
        self.answered = False

    async def receive(self) -> Message:
        """The next message; once over the limit the app is told that the client has left, so that it stops."""
        if self.exceeded:
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self._max_bytes and not self.answered:
                self.exceeded = True
                return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        if self.exceeded and not self.answered:
            return
        self.answered = True
        await self._send(message)
