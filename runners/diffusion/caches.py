"""A content-addressed store of things that are costly to compute: bounded in bytes and age, counted, thread-safe."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class CacheCounts:
    """Since the start; `bytes` and `entries` are what is held now."""

    hits: int
    misses: int
    entries: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class _Entry(Generic[Value]):
    value: Value
    size_bytes: int
    expires_at: float


def content_key(*parts: str | bytes | npt.NDArray[np.uint8]) -> str:
    """SHA-256 over the parts, each with its length (and shape), so that no two lists of parts share a key."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(repr(part.shape).encode())
            part = np.ascontiguousarray(part).tobytes()
        elif isinstance(part, str):
            part = part.encode()
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


class ExpiringCache(Generic[Value]):
    """Least recently used entries go first when `max_bytes` is exceeded; every entry goes after `ttl_s` seconds.

    `max_bytes` 0 keeps nothing (and still counts the misses).
    """

    def __init__(
        self, *, max_bytes: int, ttl_s: float, size_of: Callable[[Value], int], clock: Callable[[], float]
    ) -> None:
        self._max_bytes, self._ttl_s = max_bytes, ttl_s
        self._size_of, self._clock = size_of, clock
        self._entries: OrderedDict[str, _Entry[Value]] = OrderedDict()
        self._bytes = self._hits = self._misses = 0
        self._lock = threading.Lock()

    def get(self, key: str, compute: Callable[[], Value]) -> tuple[Value, bool]:
        """The value and whether it was there; `compute` runs outside the lock when it was not."""
        with self._lock:
            self._drop_expired()
            entry = self._entries.get(key)
            if entry is not None:
                self._hits += 1
                self._entries.move_to_end(key)
                return entry.value, True
            self._misses += 1
        value = compute()
        self._put(key, value)
        return value, False

    def clear(self) -> None:
        """Forget everything, for instance because memory ran out."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def counts(self) -> CacheCounts:
        with self._lock:
            self._drop_expired()
            return CacheCounts(hits=self._hits, misses=self._misses, entries=len(self._entries), bytes=self._bytes)

    def _put(self, key: str, value: Value) -> None:
        size = self._size_of(value)
        if size > self._max_bytes:
            return
        with self._lock:
            self._remove(key)
            self._entries[key] = _Entry(value=value, size_bytes=size, expires_at=self._clock() + self._ttl_s)
            self._bytes += size
            while self._bytes > self._max_bytes:
                self._remove(next(iter(self._entries)))

    def _drop_expired(self) -> None:
        now = self._clock()
        for key in [key for key, entry in self._entries.items() if entry.expires_at <= now]:
            self._remove(key)

    def _remove(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size_bytes
