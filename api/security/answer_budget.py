"""Answers that wait to be taken have a bounded part of the memory: so much together, and a share of it for each client.

They leave in pieces, so that a client has `connections.SEND_TIMEOUT_S` for each of them and not for the whole.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.budgets import BudgetPart, SharedBudget
from api.errors import error_response
from api.security.rate_limit import client_of
from composition.errors import QueueFull

MAX_BYTES = 2**30
"""Of all answers together that have begun and are not taken to their end: a dozen of the largest."""
SMALL_BYTES = 256 * 1024
"""What is not larger is not counted: errors, states, the page."""
PIECE_BYTES = 64 * 1024
RETRY_AFTER_S = 5


class AnswerBudgetGuard:
    """Answers 503 in place of one large answer too many; streams, whose size nobody knows, are not counted."""

    def __init__(self, app: ASGIApp, *, max_bytes: int = MAX_BYTES) -> None:
        self._app = app
        self._budget = SharedBudget(max_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(self._budget.part(client_of(scope)), send)
        try:
            await self._app(scope, receive, answer.send)
        finally:
            answer.part.release()
        if answer.refused:
            error = QueueFull("too many large answers wait to be taken", retry_after_s=RETRY_AFTER_S)
            await error_response(error, path=scope["path"])(scope, receive, send)


class _Answer:
    """Attributes: `refused`: there is no room for it; nothing of it was sent."""

    def __init__(self, part: BudgetPart, send: Send) -> None:
        self.part, self._send = part, send
        self.refused = False

    async def send(self, message: Message) -> None:
        if self.refused:
            return
        if message["type"] == "http.response.start":
            self.refused = not self._take(Headers(raw=message["headers"]).get("content-length", ""))
        if self.refused:
            return
        body, begin = message.get("body", b""), 0
        while self.part.taken_bytes and len(body) - begin > PIECE_BYTES:
            await self._send({**message, "body": body[begin : begin + PIECE_BYTES], "more_body": True})
            begin += PIECE_BYTES
        await self._send({**message, "body": body[begin:]} if begin else message)

    def _take(self, declared: str) -> bool:
        size_bytes = int(declared) if declared.isdecimal() else 0
        return size_bytes <= SMALL_BYTES or self.part.take(size_bytes)
