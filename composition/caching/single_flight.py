"""Requests for the same value at the same time compute it once; what the cache did is told per request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from composition.caching.content_cache import ContentCache
from composition.caching.frozen import freeze
from composition.errors import InternalError
from composition.ports.observation import NO_EDIT_OBSERVER, EditObserver

T = TypeVar("T")
_outcomes: ContextVar[dict[str, str] | None] = ContextVar("cache_outcomes", default=None)


@dataclass(kw_only=True, eq=False)
class _Flight:
    """A computation that is under way and how many wait for it."""

    task: asyncio.Task[Any]
    waiting: int = 0


class SingleFlight:
    """A `ContentCache` for the tasks of one event loop.

    Requests for a key that is being computed wait for that computation; it goes on while anybody waits, whoever
    started it, and is cancelled with the last one. A failure reaches everybody who waited and is not kept.
    """

    def __init__(self, cache: ContentCache[Any], *, observer: EditObserver = NO_EDIT_OBSERVER) -> None:
        self._cache = cache
        self._observer = observer
        self._flights: dict[bytes, _Flight] = {}

    async def get(self, name: str, key: bytes, compute: Callable[[], Awaitable[T]]) -> T:
        """The value of `key`, computed at most once at a time and frozen (`freeze`) before anybody gets it.

        `name` says what it is, for `recorded_outcomes`: "detections", "pose"; `key` is a digest of it and all that the
        value depends on.
        """
        found = self._cache.find(key)
        if found is not None:
            self._count(name, hit=True)
            return found  # type: ignore[no-any-return]
        flight = self._flights.get(key)
        self._count(name, hit=flight is not None)
        if flight is None:
            flight = _Flight(task=asyncio.ensure_future(self._compute(key, compute)))
            flight.task.add_done_callback(_take_notice)
            self._flights[key] = flight
        return await self._join(key, flight)  # type: ignore[no-any-return]

    async def _compute(self, key: bytes, compute: Callable[[], Awaitable[T]]) -> T:
        """Runs as a task of its own: no caller's cancellation reaches it."""
        own = asyncio.current_task()
        try:
            value: T = freeze(await compute())
            self._cache.keep(key, value)
        finally:
            flight = self._flights.get(key)
            if flight is not None and flight.task is own:
                del self._flights[key]
        return value

    async def _join(self, key: bytes, flight: _Flight) -> Any:
        flight.waiting += 1
        try:
            await asyncio.wait([flight.task])
        finally:
            flight.waiting -= 1
            if flight.waiting == 0 and not flight.task.done():
                # Off the table at once: a request that comes now must not join what is being cancelled.
                if self._flights.get(key) is flight:
                    del self._flights[key]
                flight.task.cancel()
        if flight.task.cancelled():
            raise InternalError("the computation was cancelled from elsewhere")
        return flight.task.result()

    def _count(self, name: str, *, hit: bool) -> None:
        self._cache.count(hit=hit)
        self._observer.looked_up(name, hit=hit)
        outcomes = _outcomes.get()
        if outcomes is not None and outcomes.get(name) != "miss":
            outcomes[name] = "hit" if hit else "miss"


def _take_notice(task: asyncio.Task[Any]) -> None:
    """Asyncio complains of a failure that nobody fetched; here everybody may have left."""
    if not task.cancelled():
        task.exception()


@contextmanager
def recorded_outcomes() -> Iterator[Mapping[str, str]]:
    """Collect what the caches did for the code in the block and the tasks that it starts: "hit" or "miss" per name.

    A name that was asked for several times is a hit only when every time was.
    """
    outcomes: dict[str, str] = {}
    token = _outcomes.set(outcomes)
    try:
        yield outcomes
    finally:
        _outcomes.reset(token)
