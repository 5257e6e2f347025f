"""Names that no server answers hold up nobody: the resolver has threads of its own, so many and for so long."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from api.fetcher import GuardedFetcher
from api.resolver import BoundedResolver
from composition.config import FetchConfig
from composition.errors import UnprocessableUrl
from tests.unit.api.conftest import open_edge
from tests.unit.api.images import photo

ANSWER = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 80))]
FETCHES = 12


class SilentServer:
    """The system's resolver, whose name server does not answer for hosts that begin with "silent"."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.heard = asyncio.Semaphore(0)
        self.speak = threading.Event()
        self._loop = asyncio.get_running_loop()

    def getaddrinfo(self, host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        self.asked.append(host)
        self._loop.call_soon_threadsafe(self.heard.release)
        if host.startswith("silent"):
            self.speak.wait(30)
        if host == "unknown.example":
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return ANSWER


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SilentServer]:
    server = SilentServer()
    monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
    yield server
    server.speak.set()


async def until_asked(names: SilentServer, times: int) -> None:
    async with asyncio.timeout(10):
        for _ in range(times):
            await names.heard.acquire()


@pytest.mark.parametrize("path", ["/api/v1/generate", "/api/v1/generate/async", "/api/v1/analyze"])
async def test_image_urls_on_a_silent_name_server_delay_no_other_route(names: SilentServer, path: str):
    async with open_edge() as edge:
        silent = GuardedFetcher(FetchConfig(timeout_s=600), resolve=BoundedResolver(timeout_s=600))
        guarded = replace(edge.context, fetcher=silent)
        edge.client._transport.app.state.context = guarded
        edit = {"base_image": photo(), "prompt": "blue car"}
        job_id = (await edge.client.post("/api/v1/generate/async", json=edit)).json()["job_id"]
        stalled = [
            asyncio.create_task(
                edge.client.post(path, json={**edit, "base_image": f"http://silent-{number}.example/x.png"})
            )
            for number in range(FETCHES)
        ]
        await until_asked(names, FETCHES)
        async with asyncio.timeout(60):
            assert (await edge.client.get(f"/api/v1/status/{job_id}")).status_code == 200
            assert (await edge.client.post("/api/v1/analyze", json=edit)).status_code == 200
            assert (await edge.client.post("/api/v1/generate", json=edit)).status_code == 200
        assert not any(request.done() for request in stalled), "they waited for the look-ups"
        for request in stalled:
            request.cancel()
        await asyncio.gather(*stalled, return_exceptions=True)


async def test_another_name_is_resolved_meanwhile(names: SilentServer):
    resolver = BoundedResolver()
    stalled = [asyncio.create_task(resolver(f"silent-{number}.example", 80)) for number in range(FETCHES)]
    await until_asked(names, FETCHES)
    assert await resolver("shop.example", 80) == ["93.184.216.34"]
    names.speak.set()
    assert await asyncio.gather(*stalled) == [["93.184.216.34"]] * FETCHES


async def test_a_silent_name_server_is_given_up_after_the_resolver_s_own_limit(names: SilentServer):
    fetcher = GuardedFetcher(FetchConfig(timeout_s=20), resolve=BoundedResolver(timeout_s=0.02))
    with pytest.raises(UnprocessableUrl, match="not resolved in time"):
        await fetcher.fetch("http://silent.example/x.png")


async def test_a_look_up_that_was_given_up_keeps_its_place_until_its_thread_ends(names: SilentServer):
    resolver = BoundedResolver(max_lookups=1, timeout_s=0.02)
    for host in ("silent.example", "shop.example"):
        with pytest.raises(UnprocessableUrl):
            await resolver(host, 80)
    assert names.asked == ["silent.example"]
    names.speak.set()
    async with asyncio.timeout(10):
        await resolver._places.acquire()
    resolver._places.release()
    assert await resolver("shop.example", 80) == ["93.184.216.34"]


async def test_an_unknown_name_gives_its_place_back(names: SilentServer):
    resolver = BoundedResolver(max_lookups=1)
    for _ in range(2):
        with pytest.raises(OSError):
            await resolver("unknown.example", 80)


async def test_a_silent_name_does_not_keep_the_process_from_ending(names: SilentServer):
    asking = asyncio.create_task(BoundedResolver()("silent.example", 80))
    await until_asked(names, 1)
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "resolver")
    asking.cancel()
