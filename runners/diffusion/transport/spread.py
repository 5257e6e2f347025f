"""One diffusion runner per GPU: a request goes to the one that has the least to do, rather to one that knows its photo.

editor -> **spread** -> client -> runner. The front is the only one that sends requests, so it knows who has how many.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from cachetools import LRUCache

from composition.caching.content_key import content_key_off_loop
from composition.diffusion import DiffusionProgress, DiffusionRequest, DiffusionResult
from composition.errors import NotReady
from composition.ports.diffuser import Diffuser

REMEMBERED_PHOTOS = 1024
"""Whose encodings a runner may still have; an entry is two hundred bytes."""
AWAY_S = 10.0
"""A runner that did not answer gets nothing for so long, while others are there."""


class SpreadDiffuser:
    """`composition.ports.Diffuser` over several; `clock` gives seconds, rising."""

    def __init__(self, diffusers: Sequence[Diffuser], *, clock: Callable[[], float] = time.monotonic) -> None:
        assert diffusers
        self._diffusers, self._clock = list(diffusers), clock
        self._running = [0] * len(self._diffusers)
        self._away_until = [0.0] * len(self._diffusers)
        self._served = [0] * len(self._diffusers)
        self._last_at: LRUCache[bytes, int] = LRUCache(REMEMBERED_PHOTOS)

    @property
    def running(self) -> tuple[int, ...]:
        """Requests at each runner now."""
        return tuple(self._running)

    async def diffuse(self, request: DiffusionRequest) -> AsyncGenerator[DiffusionProgress | DiffusionResult, None]:
        """As the port; a runner that is away before it has begun costs nothing but the way to the next one."""
        tried: set[int] = set()
        photo = await content_key_off_loop(request.image)
        while True:
            number = self._next(tried, self._last_at.get(photo))
            tried.add(number)
            self._last_at[photo] = number
            begun = False
            self._running[number] += 1
            self._served[number] += 1
            try:
                async with aclosing(self._diffusers[number].diffuse(request)) as events:
                    async for event in events:
                        begun = True
                        yield event
                return
            except NotReady:
                self._away_until[number] = self._clock() + AWAY_S
                if begun or len(tried) == len(self._diffusers):
                    raise
            finally:
                self._running[number] -= 1

    def _next(self, tried: set[int], last: int | None) -> int:
        """The least loaded of those that answer; among equals the `last` to see the photo, or who has served least."""
        now = self._clock()
        left = [number for number in range(len(self._diffusers)) if number not in tried]
        return min(left, key=lambda n: (self._away_until[n] > now, self._running[n], n != last, self._served[n], n))
