"""Values by content key: bounded in bytes and age, counted, thread-safe."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from cachetools import TTLCache

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class HitCounts:
    """`misses` were computed; `hits` were not: found, or computed already for another request."""

    hits: int = 0
    misses: int = 0


@dataclass(frozen=True, kw_only=True)
class CacheCounts:
    """Since the start; `bytes` and `entries` are what is held now."""

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
        self._hits: Counter[str] = Counter()
        self._misses: Counter[str] = Counter()
        self._lock = threading.Lock()

    def get(self, key: bytes, compute: Callable[[], Value], *, name: str = "") -> tuple[Value, bool]:
        """The value of `key` and whether it was there; `compute` runs outside the lock when it was not.

        `name` says what the value is, for the counts.
        """
        found = self.find(key)
        self.count(name, hit=found is not None)
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

    def count(self, name: str, *, hit: bool) -> None:
        """For whoever looks and computes by itself."""
        with self._lock:
            (self._hits if hit else self._misses)[name] += 1

    def clear(self) -> None:
        """Forget everything, for instance because memory ran out."""
        with self._lock:
            self._values.clear()

    def counts(self) -> CacheCounts:
        """Of all names together."""
        with self._lock:
            self._values.expire()
            return CacheCounts(
                hits=self._hits.total(), misses=self._misses.total(), entries=len(self._values),
                bytes=int(self._values.currsize),
            )  # fmt: skip

    def counts_by_name(self) -> Mapping[str, HitCounts]:
        """Since the start."""
        with self._lock:
            names = {*self._hits, *self._misses}
            return {name: HitCounts(hits=self._hits[name], misses=self._misses[name]) for name in names}
