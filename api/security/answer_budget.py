"""Answers that wait to be taken have a bounded part of the memory: so much together, and a share of it for each client.

They leave in pieces, so that a client has `connections.SEND_TIMEOUT_S` for each of them and not for the whole.
"""

from __future__ import annotations

from collections import Counter

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.budgets import ByteBudget
from api.errors import error_response
from api.security.rate_limit import client_of
from composition.errors import QueueFull

MAX_BYTES = 512 * 2**20
"""Of all answers together that have begun and are not taken to their end: six of the largest, dozens of usual ones."""
SHARE = 0.25
"""Of that, for one client, which may always have one: others have the rest, however slowly one takes its own."""
SMALL_BYTES = 256 * 1024
"""What is not larger is not counted: errors, states, the page."""
PIECE_BYTES = 64 * 1024
RETRY_AFTER_S = 5


class AnswerBudgetGuard:
    """Answers 503 in place of one large answer too many; streams, whose size nobody knows, are not counted."""

    def __init__(self, app: ASGIApp, *, max_bytes: int = MAX_BYTES) -> None:
        self._app = app
        self._share_bytes = int(SHARE * max_bytes)
        self._budget = ByteBudget(max_bytes)
        self._taken: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(self, client_of(scope), send)
        try:
            await self._app(scope, receive, answer.send)
        finally:
            answer.release()
        if answer.refused:
            error = QueueFull("too many large answers wait to be taken", retry_after_s=RETRY_AFTER_S)
            await error_response(error, path=scope["path"])(scope, receive, send)

    def take(self, client: str, size_bytes: int) -> bool:
        has_its_share = self._taken[client] > 0 and self._taken[client] + size_bytes > self._share_bytes
        if has_its_share or not self._budget.take(size_bytes):
            return False
        self._taken[client] += size_bytes
        return True

    def give_back(self, client: str, size_bytes: int) -> None:
        self._budget.give_back(size_bytes)
        self._taken[client] -= size_bytes
        if not self._taken[client]:
            del self._taken[client]


class _Answer:
    """Attributes: `refused`: there is no room for it; nothing of it was sent."""

    def __init__(self, guard: AnswerBudgetGuard, client: str, send: Send) -> None:
        self._guard, self._client, self._send = guard, client, send
        self._taken_bytes = 0
        self.refused = False

    async def send(self, message: Message) -> None:
        if self.refused:
            return
        if message["type"] == "http.response.start":
            self.refused = not self._take(Headers(raw=message["headers"]).get("content-length", ""))
        if self.refused:
            return
        body, begin = message.get("body", b""), 0
        while self._taken_bytes and len(body) - begin > PIECE_BYTES:
            await self._send({**message, "body": body[begin : begin + PIECE_BYTES], "more_body": True})
            begin += PIECE_BYTES
        await self._send({**message, "body": body[begin:]} if begin else message)

    def release(self) -> None:
        """Give back what it took."""
        if self._taken_bytes:
            self._guard.give_back(self._client, self._taken_bytes)
        self._taken_bytes = 0

    def _take(self, declared: str) -> bool:
        size_bytes = int(declared) if declared.isdecimal() else 0
        if size_bytes > SMALL_BYTES:
            if not self._guard.take(self._client, size_bytes):
                return False
            self._taken_bytes = size_bytes
        return True
