"""A blob store that waits for one that is away: what a handler has computed is not thrown away for a short outage."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential

from composition.errors import NotReady
from composition.ports.queue import BlobStore

_T = TypeVar("_T")


class RetryingBlobStore:
    """For workers only: a request that reads or writes an image is answered at once, not after a wait."""

    def __init__(self, blobs: BlobStore, *, give_up_after_s: float = 600.0, max_delay_s: float = 2.0) -> None:
        self._blobs = blobs
        self._give_up_after_s = give_up_after_s
        self._max_delay_s = max_delay_s

    async def put(self, data: bytes) -> str:
        return await self._persistently(lambda: self._blobs.put(data))

    async def get(self, key: str) -> bytes:
        return await self._persistently(lambda: self._blobs.get(key))

    async def delete(self, keys: Sequence[str]) -> None:
        await self._persistently(lambda: self._blobs.delete(keys))

    async def older_than(self, age_s: float) -> tuple[str, ...]:
        return await self._persistently(lambda: self._blobs.older_than(age_s))

    async def _persistently(self, act: Callable[[], Awaitable[_T]]) -> _T:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(NotReady),
            wait=wait_exponential(multiplier=0.1, max=self._max_delay_s),
            stop=stop_after_delay(self._give_up_after_s),
            reraise=True,
        ):
            with attempt:
                return await act()
        raise AssertionError("tenacity ends by returning or raising")
