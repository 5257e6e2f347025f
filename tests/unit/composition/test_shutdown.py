"""Real signals to this process, whose handlers are put back afterwards."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest

from composition import shutdown
from composition.shutdown import intercept_stop_signals, wind_down_when_told
from tests.fakes.signalled_server import SignalledServer, signalled_server


@pytest.fixture
def server() -> Iterator[SignalledServer]:
    with signalled_server() as server:
        yield server


async def test_the_server_is_told_at_once_and_the_winding_down_begins_beside_it(server: SignalledServer) -> None:
    began, may_end = asyncio.Event(), asyncio.Event()

    async def wind_down() -> None:
        assert server.told == [signal.SIGTERM]
        began.set()
        await may_end.wait()

    wind_down_when_told(wind_down)
    async with asyncio.timeout(60):
        signal.raise_signal(signal.SIGTERM)
        await began.wait()
        signal.raise_signal(signal.SIGINT)  # the second is the server's affair
        await server.until_told(2)
    assert server.told == [signal.SIGTERM, signal.SIGINT]


async def test_what_lingers_when_all_is_done_is_cut_off(
    server: SignalledServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutdown, "LINGER_S", 0.0)

    async def wind_down() -> None:
        assert server.told == [signal.SIGTERM]

    wind_down_when_told(wind_down)
    signal.raise_signal(signal.SIGTERM)
    await server.until_told(2)
    assert server.told == [signal.SIGTERM, signal.SIGINT]


async def test_a_signal_can_be_kept_from_the_server(server: SignalledServer) -> None:
    kept: asyncio.Queue[int] = asyncio.Queue()
    give_on = intercept_stop_signals(kept.put_nowait)
    signal.raise_signal(signal.SIGTERM)
    async with asyncio.timeout(60):
        assert await kept.get() == signal.SIGTERM
    assert server.told == []
    give_on(signal.SIGTERM)
    assert server.told == [signal.SIGTERM]


async def test_outside_the_main_thread_there_is_nothing_to_intercept() -> None:
    async def in_a_loop_of_its_own() -> object:
        return intercept_stop_signals(lambda number: None)

    assert await asyncio.to_thread(asyncio.run, in_a_loop_of_its_own()) is None
