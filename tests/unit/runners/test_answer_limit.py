"""BentoML's limit on the time until an answer begins, without what its own keeps of every request."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextvars import ContextVar
from typing import Any

import httpx
import pytest
from bentoml._internal.server.http import traffic
from starlette.types import Receive, Scope, Send

from runners.answer_limit import AnswerLimit, limit_answers

LONG_S = 3600.0
_kept: ContextVar[Any] = ContextVar("_kept")


class Belonging:
    """What one request's context holds."""


async def answer(send: Send, *, before_s: float = 0, within_s: float = 0) -> None:
    await asyncio.sleep(before_s)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.sleep(within_s)
    await send({"type": "http.response.body", "body": b"done"})


def asking(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")


async def test_nothing_of_an_answered_request_is_kept_until_its_limit():
    belongings: list[weakref.ref[Belonging]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send)

    async def ask(client: httpx.AsyncClient) -> None:
        belonging = Belonging()
        belongings.append(weakref.ref(belonging))
        _kept.set(belonging)
        assert (await client.get("/")).text == "done"

    async with asking(AnswerLimit(app, LONG_S)) as client:
        for _ in range(500):
            await asyncio.create_task(ask(client))
    gc.collect()
    # The loop itself throws cancelled timers away when they are many, not at once.
    assert sum(belonging() is not None for belonging in belongings) <= 150


async def test_an_app_that_does_not_begin_is_stopped_and_answered_for():
    stopped = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await answer(send, before_s=LONG_S)
        finally:
            stopped.set()

    async with asking(AnswerLimit(app, 0.02)) as client:
        told = await client.get("/")
    assert told.status_code == 504
    assert stopped.is_set()


async def test_an_answer_that_has_begun_may_take_long():
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, within_s=0.1)

    async with asking(AnswerLimit(app, 0.05)) as client:
        told = await client.get("/")
    assert (told.status_code, told.text) == (200, "done")


async def test_an_apps_own_timeout_is_its_own():
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        async with asking(AnswerLimit(app, LONG_S)) as client:
            await client.get("/")


def test_it_takes_the_place_of_bentomls(monkeypatch):
    published = traffic.TimeoutMiddleware
    monkeypatch.setattr(traffic, "TimeoutMiddleware", published)  # undone at the end
    limit_answers()
    assert traffic.TimeoutMiddleware is AnswerLimit
