"""Answers that nobody takes: how much memory they may have, and who is refused then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.security.answer_budget import PIECE_BYTES, SMALL_BYTES, AnswerBudgetGuard

LARGE = 4 * SMALL_BYTES
CONTENT = bytes(range(256)) * (LARGE // 256)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """As many bytes as the path says."""
    await Response(CONTENT[: int(scope["path"][1:])])(scope, receive, send)


class Client:
    """Takes one answer: only its head until it is told to take the rest."""

    def __init__(self, guard: AnswerBudgetGuard, size_bytes: int = LARGE, *, owner: str = "ann") -> None:
        self.messages: list[dict[str, Any]] = []
        self._has_begun, self._takes = asyncio.Event(), asyncio.Event()
        scope = {"type": "http", "method": "GET", "path": f"/{size_bytes}", "headers": [], "state": {"owner": owner}}
        self._answering = asyncio.create_task(guard(scope, asyncio.Event().wait, self._receive))

    async def _receive(self, message: dict[str, Any]) -> None:
        self.messages.append(dict(message))
        self._has_begun.set()
        if message["type"] == "http.response.body":
            await self._takes.wait()

    async def status(self) -> int:
        await self._has_begun.wait()
        return int(self.messages[0]["status"])

    async def take(self) -> bytes:
        self._takes.set()
        await self._answering
        return b"".join(message["body"] for message in self.messages[1:])

    async def leave(self) -> None:
        self._answering.cancel()
        await asyncio.gather(self._answering, return_exceptions=True)


@pytest.mark.parametrize(("size_bytes", "count"), [(0, 1), (SMALL_BYTES, 1), (SMALL_BYTES + 1, 5), (LARGE, 16)])
async def test_a_large_answer_leaves_in_pieces_and_every_one_is_whole(size_bytes: int, count: int):
    client = Client(AnswerBudgetGuard(app), size_bytes)
    assert await client.take() == CONTENT[:size_bytes]
    pieces = client.messages[1:]
    assert len(pieces) == count
    assert all(len(message["body"]) <= PIECE_BYTES for message in pieces[: count - 1])
    assert [bool(message.get("more_body")) for message in pieces] == [True] * (len(pieces) - 1) + [False]


async def test_a_client_that_takes_nothing_gets_no_more_and_others_do():
    guard = AnswerBudgetGuard(app, max_bytes=4 * LARGE)
    waiting = [Client(guard), Client(guard)]
    assert [await one.status() for one in waiting] == [200, 200]
    refused = Client(guard)
    assert await refused.status() == 503
    assert (b"retry-after", b"5") in refused.messages[0]["headers"]
    assert b'"QUEUE_FULL"' in await refused.take()
    assert await Client(guard, owner="bob").status() == 200
    assert await Client(guard, SMALL_BYTES).status() == 200
    assert await waiting[0].take() == CONTENT
    assert await Client(guard).status() == 200
    await waiting[1].leave()
    assert await Client(guard).status() == 200


async def test_many_clients_together_have_a_bound_and_one_answer_may_be_larger_than_a_share():
    guard = AnswerBudgetGuard(app, max_bytes=3 * LARGE)
    first = [Client(guard, owner=str(number)) for number in range(3)]
    assert [await one.status() for one in first] == [200, 200, 200]
    assert await Client(guard, owner="late").status() == 503
    await first[0].take()
    assert await Client(guard, owner="late").status() == 200


async def test_a_stream_begins_at_once_and_is_not_counted():
    going_on = asyncio.Event()

    async def pieces():
        await going_on.wait()
        yield CONTENT

    async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
        await StreamingResponse(pieces())(scope, receive, send)

    guard = AnswerBudgetGuard(streaming, max_bytes=LARGE // 2)
    clients = [Client(guard), Client(guard)]
    assert [await one.status() for one in clients] == [200, 200]
    going_on.set()
    assert [await one.take() for one in clients] == [CONTENT, CONTENT]
