"""A process that is told to stop finishes what it has begun before its server ends; while it starts it ends at once."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
LINGER_S = 5.0
"""How long a connection may stay open when everything is finished or handed back."""


def intercept_stop_signals(react: Callable[[int], None]) -> Callable[[int], None] | None:
    """Have SIGTERM and SIGINT given to `react`, in the running event loop.

    Returns:
        What gives a signal on to who handled it before; None outside the main thread, where no signal is handled.
    """
    if threading.current_thread() is not threading.main_thread():
        return None
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}

    def give_on(number: int) -> None:
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, None)
        else:
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
            signal.raise_signal(number)

    def handle(number: int, _: FrameType | None) -> None:
        loop.call_soon_threadsafe(react, number)

    for number in STOP_SIGNALS:
        signal.signal(number, handle)
    return give_on


@contextmanager
def ended_by_a_stop() -> Iterator[None]:
    """Around a start, which nobody would miss: SIGTERM or SIGINT ends the process there and then.

    A server would hear of it when the start is over: a handler waits for the code that loads weights, for minutes.
    Outside the main thread nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_DFL) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def wind_down_when_told(wind_down: Callable[[], Awaitable[None]]) -> None:
    """At the first SIGTERM or SIGINT begin to wind down, beside the server's own end.

    A server that stops waits for its open connections before it says so to its application; that is too late to answer
    them. What is open LINGER_S after all is done (a client that sends or reads nothing any more) is cut off.
    """
    winding: asyncio.Task[None] | None = None
    give_on: Callable[[int], None] | None = None

    async def end() -> None:
        await wind_down()
        await asyncio.sleep(LINGER_S)
        assert give_on is not None
        give_on(signal.SIGINT)  # to a server that is stopping: wait for nobody

    def react(number: int) -> None:
        nonlocal winding
        assert give_on is not None
        give_on(number)
        if winding is None:
            winding = asyncio.create_task(end())

    give_on = intercept_stop_signals(react)
