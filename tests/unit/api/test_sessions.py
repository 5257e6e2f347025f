"""Requests of a session: which of them goes on, and what the callers of the others are told."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from api.sessions import Sessions
from composition.config import ApiConfig, Config
from composition.errors import Superseded
from composition.jobs import JobStatus
from jobs.queues.embedded_queue import EmbeddedJobQueue
from jobs.stores.memory_store import MemoryJobStore
from tests.fakes.fake_fetcher import FakeFetcher
from tests.fakes.fake_job_handler import FakeJobHandler
from tests.unit.api.conftest import Edge, open_edge
from tests.unit.api.images import encoded, gradient, photo

GENERATE, ASYNC, ANALYZE = "/api/v1/generate", "/api/v1/generate/async", "/api/v1/analyze"
EDIT = {"base_image": photo(), "prompt": "blue car"}
SLOW_URL = "https://shop.example/slow.png"
MESSAGE = "a newer request of the same session took this one's place"


class SlowFetcher(FakeFetcher):
    """Fetches nothing until it may; `asked` once somebody waits for that."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.gate = asyncio.Event(), asyncio.Event()
        self.files[SLOW_URL] = encoded(gradient())

    async def fetch(self, url: str) -> bytes:
        self.asked.set()
        await self.gate.wait()
        return await super().fetch(url)


@pytest.mark.parametrize("path", [GENERATE, ASYNC, ANALYZE])
async def test_a_request_s_session_is_its_job_s(edge: Edge, path: str):
    await edge.client.post(path, json={**EDIT, "session": "photo-7"})
    assert edge.only_job.session == "photo-7"


async def test_a_request_is_in_no_session_unless_it_says_so(edge: Edge):
    await edge.client.post(GENERATE, json=EDIT)
    assert edge.only_job.session is None


async def test_who_waits_for_an_older_request_is_told_at_once_and_the_newer_one_is_answered():
    async with open_edge() as edge:
        handler = FakeJobHandler(edge.blobs, held=True)
        queue = EmbeddedJobQueue(MemoryJobStore(), handler, edge.blobs)
        edge.client._transport.app.state.context = replace(edge.context, queue=queue)
        await queue.start()
        older = asyncio.create_task(edge.client.post(GENERATE, json={**EDIT, "session": "photo"}))
        await handler.until_started(1)
        newer = asyncio.create_task(edge.client.post(GENERATE, json={**EDIT, "session": "photo"}))
        refused = await asyncio.wait_for(older, 60)
        await handler.until_started(2)
        assert handler.stopped == handler.started[:1]
        assert (refused.status_code, refused.json()) == (
            409,
            {
                "success": False,
                "error": {
                    "code": "SUPERSEDED",
                    "message": MESSAGE,
                    "details": {"superseded_by": handler.started[1]},
                },
            },
        )
        state = (await edge.client.get(f"/api/v1/status/{handler.started[0]}")).json()
        assert (state["status"], state["error_code"], state["error"]) == ("cancelled", "SUPERSEDED", MESSAGE)
        handler.gate.set()
        assert (await asyncio.wait_for(newer, 60)).status_code == 200
        await queue.stop(grace_s=1)


async def test_a_request_that_is_read_more_slowly_does_not_take_the_place_of_a_newer_one():
    async with open_edge(outcome=lambda job: JobStatus.PENDING) as edge:
        fetcher = SlowFetcher()
        edge.client._transport.app.state.context = replace(edge.context, fetcher=fetcher)
        slow = {**EDIT, "base_image": SLOW_URL, "session": "photo"}
        older = asyncio.create_task(edge.client.post(ASYNC, json=slow))
        await fetcher.asked.wait()
        newer = await edge.client.post(ASYNC, json={**EDIT, "session": "photo"})
        kept = dict(edge.blobs.blobs)
        fetcher.gate.set()
        refused = await older
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "SUPERSEDED")
        assert list(edge.queue.jobs) == [newer.json()["job_id"]]
        assert edge.blobs.blobs == kept, "the images of the one that is refused are deleted"
        assert len(edge.context.sessions) == 0


async def test_a_session_is_its_owner_s_alone_while_it_is_read():
    config = Config(api=ApiConfig(api_keys={"ann": "one", "bob": "two"}))
    async with open_edge(config, outcome=lambda job: JobStatus.PENDING) as edge:
        fetcher = SlowFetcher()
        edge.client._transport.app.state.context = replace(edge.context, fetcher=fetcher)
        slow = {**EDIT, "base_image": SLOW_URL, "session": "photo"}
        ann = asyncio.create_task(edge.client.post(ASYNC, json=slow, headers={"X-API-Key": "one"}))
        await fetcher.asked.wait()
        bob = await edge.client.post(ASYNC, json={**EDIT, "session": "photo"}, headers={"X-API-Key": "two"})
        fetcher.gate.set()
        assert [(await ann).status_code, bob.status_code] == [200, 200]


def test_a_newer_request_that_is_refused_takes_nobody_s_place():
    sessions = Sessions()
    with sessions.arrived("ann", "photo") as older:
        with pytest.raises(ValueError, match="not an image"), sessions.arrived("ann", "photo"):
            raise ValueError("not an image")
        older()
    assert len(sessions) == 0


def test_only_those_that_arrived_before_are_superseded():
    sessions = Sessions()
    with (
        sessions.arrived("ann", "photo") as first,
        sessions.arrived("ann", "photo") as second,
        sessions.arrived("ann", "photo") as third,
        sessions.arrived("ann", "other") as another,
        sessions.arrived("ann", None) as alone,
    ):
        second()
        with pytest.raises(Superseded, match="a newer request"):
            first()
        for turn in (third, another, alone, alone):
            turn()
