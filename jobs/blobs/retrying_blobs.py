"""A blob store that waits for one that is away: what a handler has computed is not thrown away for a short outage."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from composition.errors import NotReady
from composition.ports.queue import BlobStore

FIRST_DELAY_S = 0.1

_T = TypeVar("_T")


class RetryingBlobStore:
    """For workers only: a request that reads or writes an image is answered at once, not after a wait.

    A wait that is stopped, as by the time limit of the attempt that waits, ends with the storage's NotReady: it is not
    the job that took too long.
    """

    def __init__(self, blobs: BlobStore, *, give_up_after_s: float = 600.0, max_delay_s: float = 2.0) -> None:
        self._blobs = blobs
        self._give_up_after_s = give_up_after_s
        self._max_delay_s = max_delay_s

    async def open(self) -> None:
        """As the store behind: at a start nobody waits."""
        await self._blobs.open()

    async def put(self, data: bytes) -> str:
        return await self._persistently(lambda: self._blobs.put(data))

    async def get(self, key: str) -> bytes:
        return await self._persistently(lambda: self._blobs.get(key))

    async def delete(self, keys: Sequence[str]) -> None:
        await self._persistently(lambda: self._blobs.delete(keys))

    async def older_than(self, age_s: float) -> tuple[str, ...]:
        return await self._persistently(lambda: self._blobs.older_than(age_s))

    async def _persistently(self, act: Callable[[], Awaitable[_T]]) -> _T:
        loop = asyncio.get_running_loop()
        end, delay_s = loop.time() + self._give_up_after_s, FIRST_DELAY_S
        while True:
            try:
                return await act()
            except NotReady as away:
                if loop.time() + delay_s > end:
                    raise
                try:
                    await asyncio.sleep(min(delay_s, self._max_delay_s))
                except asyncio.CancelledError:
                    raise away from None
            delay_s = min(2 * delay_s, self._max_delay_s)
