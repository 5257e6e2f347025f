"""Values by content key: bounded in bytes and age, counted, thread-safe."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cachetools import TTLCache

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class CacheCounts:
    """Since the start: `misses` were computed, `hits` were found, or being computed for another request.

    `bytes` and `entries` are what is held now.
    """

    hits: int
    misses: int
    entries: int
    bytes: int


class ContentCache(Generic[Value]):
    """For a fixed time and up to a number of bytes, the least recently used value going first.

    Args:
        ttl_s: seconds from its computation on for which a value is served.
        max_bytes: of all values together; a larger value is handed out but not kept, so 0 keeps nothing.
        size_of: a value's size in bytes.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        *,
        ttl_s: float,
        max_bytes: int,
        size_of: Callable[[Value], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_bytes = max_bytes
        self._size_of = size_of
        self._values: TTLCache[bytes, Value] = TTLCache(maxsize=max_bytes, ttl=ttl_s, timer=clock, getsizeof=size_of)
        self._hits = self._misses = 0
        self._lock = threading.Lock()

    def get(self, key: bytes, compute: Callable[[], Value]) -> tuple[Value, bool]:
        """The value of `key` and whether it was there; `compute` runs outside the lock when it was not."""
        found = self.find(key)
        self.count(hit=found is not None)
        if found is not None:
            return found, True
        value = compute()
        self.keep(key, value)
        return value, False

    def find(self, key: bytes) -> Value | None:
        """The value, which is in use again; None when it is not there."""
        with self._lock:
            try:
                return self._values[key]
            except KeyError:
                return None

    def keep(self, key: bytes, value: Value) -> None:
        """Keep a value, which must not be None, if there can be room for it."""
        if self._size_of(value) <= self._max_bytes:
            with self._lock:
                self._values[key] = value

    def count(self, *, hit: bool) -> None:
        """For whoever looks and computes by itself."""
        with self._lock:
            self._hits += hit
            self._misses += not hit

    def clear(self) -> None:
        """Forget everything, for instance because memory ran out."""
        with self._lock:
            self._values.clear()

    def counts(self) -> CacheCounts:
        with self._lock:
            self._values.expire()
            held, size_bytes = len(self._values), int(self._values.currsize)
            return CacheCounts(hits=self._hits, misses=self._misses, entries=held, bytes=size_bytes)
