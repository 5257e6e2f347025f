"""Real signals to this process, whose handlers are put back afterwards."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from composition import shutdown
from composition.shutdown import STOP_SIGNALS, ended_by_a_stop, intercept_stop_signals, wind_down_when_told
from tests.fakes.signalled_server import SignalledServer, signalled_server

STARTING = """
import signal, sys
from composition.shutdown import ended_by_a_stop
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, frame: print("a handler heard of it", flush=True))
with ended_by_a_stop():
    print("starts", flush=True)
    sys.stdin.read()
print("has started", flush=True)
"""


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


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_process_that_still_starts_is_ended_by_a_stop_whatever_would_handle_it(number: signal.Signals) -> None:
    command = [sys.executable, "-c", STARTING]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "starts\n"
        process.send_signal(number)
        assert process.wait(60) == -number
        assert process.stdout.read() == ""


async def test_what_has_started_is_told_as_before(server: SignalledServer) -> None:
    with ended_by_a_stop():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    signal.raise_signal(signal.SIGTERM)
    assert server.told == [signal.SIGTERM]
