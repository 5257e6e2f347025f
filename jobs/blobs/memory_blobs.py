"""Job images in this process's memory; goes with `MemoryJobStore`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence

from composition.errors import NotFound


class MemoryBlobStore:
    """Named bytes that end with the process."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._blobs: dict[str, tuple[float, bytes]] = {}

    async def open(self) -> None:
        """Nothing to open."""

    async def put(self, data: bytes) -> str:
        key = uuid.uuid4().hex
        self._blobs[key] = (self._clock(), bytes(data))
        return key

    async def get(self, key: str) -> bytes:
        try:
            return self._blobs[key][1]
        except KeyError:
            raise NotFound("there is no such blob") from None

    async def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._blobs.pop(key, None)

    async def older_than(self, age_s: float) -> tuple[str, ...]:
        oldest = self._clock() - age_s
        return tuple(key for key, (at, _) in self._blobs.items() if at <= oldest)
