"""The running event loop's clock in the test's hand: timeouts and sleeps end when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

TURNS = 50


class LoopTime:
    """`now`: seconds by the loop's clock."""

    def __init__(self) -> None:
        self.now = 1000.0

    async def advance(self, seconds: float) -> None:
        """Let everything run that can, move the clock on, and let everything run that is due then."""
        await _until_settled()
        self.now += seconds
        await _until_settled()


async def _until_settled() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


@contextmanager
def frozen_loop_time() -> Iterator[LoopTime]:
    """Only the test moves the clock in the block."""
    loop, time = asyncio.get_running_loop(), LoopTime()
    real = loop.time
    loop.time = lambda: time.now
    try:
        yield time
    finally:
        loop.time = real
