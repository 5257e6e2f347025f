"""What handles SIGTERM and SIGINT in a server, as uvicorn does; whatever handled them before comes back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from composition.shutdown import STOP_SIGNALS


class SignalledServer:
    """`told`: the signals that reached it, in order."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self._news = asyncio.Event()

    def handle(self, number: int, frame: object) -> None:
        """A signal handler."""
        self.told.append(number)
        self._news.set()

    async def until_told(self, count: int = 1) -> None:
        """Raises: TimeoutError after a minute."""
        async with asyncio.timeout(60):
            while len(self.told) < count:
                self._news.clear()
                await self._news.wait()


@contextmanager
def signalled_server() -> Iterator[SignalledServer]:
    """Installed in this process, for the time of the block."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    server = SignalledServer()
    for number in STOP_SIGNALS:
        signal.signal(number, server.handle)
    yield server
    for number, handler in before.items():
        signal.signal(number, handler)
