"""The same photograph again costs no model call: ports wrapped in a content-addressed cache.

Each `Cached...` class is the port that it wraps. Its key is a BLAKE2b digest of the pixels, their shape, every other
argument and `variant`, which names the models and their thresholds. So a hit is a hit on identical content, whoever
asked first, and nothing else of one request can reach another. Values are immutable: arrays are read-only for good.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from composition.decision import ReferenceKind
from composition.errors import InternalError
from composition.images import DepthMap, Detection, Image, Mask, Pose
from composition.ports.vision import Analyzer, DepthEstimator, Detector, PoseEstimator, Segmenter

VALUE_OVERHEAD_BYTES = 512
"""Counted for every entry and every small object in it, so that entries without arrays are bounded too."""
THREADED_DIGEST_BYTES = 1 << 20
"""Larger pictures are digested in a thread: the event loop never waits longer than about a millisecond."""

T = TypeVar("T")
Port = TypeVar("Port")
Part: TypeAlias = npt.NDArray[np.uint8] | str | Sequence[Detection]
"""What a key is made of."""
_outcomes: ContextVar[dict[str, str] | None] = ContextVar("cache_outcomes", default=None)


@dataclass(frozen=True, kw_only=True)
class CacheCounts:
    """`misses` were computed; `hits` were not: found, or computed already for another request."""

    hits: int = 0
    misses: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class _Entry:
    value: Any
    size_bytes: int
    expires_at: float


@dataclass(kw_only=True, eq=False)
class _Flight:
    """A computation that is under way and how many wait for it."""

    task: asyncio.Task[Any]
    waiting: int = 0


class ContentCache:
    """Values by content key, for a fixed time and up to a number of bytes, the least recently used going first.

    Belongs to one event loop. Requests for a key that is being computed wait for that computation; it goes on while
    anybody waits, whoever started it, and is cancelled with the last one. A failure reaches everybody who waited and
    is not kept.

    Args:
        ttl_s: seconds from the computation on for which a value is served.
        max_bytes: of all values together; a larger value is handed out but not kept.
        clock: seconds, monotonic.
    """

    def __init__(self, *, ttl_s: float, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._ttl_s = ttl_s
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._by_age: dict[bytes, None] = {}
        self._flights: dict[bytes, _Flight] = {}
        self._size_bytes = 0
        self._counts: dict[str, CacheCounts] = {}

    @property
    def size_bytes(self) -> int:
        """Of the values that are kept."""
        return self._size_bytes

    @property
    def counts(self) -> Mapping[str, CacheCounts]:
        """Hits and misses per `name`, since the start."""
        return MappingProxyType(self._counts)

    async def get(self, name: str, key: bytes, compute: Callable[[], Awaitable[T]]) -> T:
        """The value of `key`, computed at most once at a time.

        Args:
            name: what the value is, for the counts: "detections", "pose".
            key: a digest of `name` and everything that the value depends on.
            compute: makes the value, which is frozen (`freeze`) before anybody gets it.
        """
        entry = self._entries.get(key)
        if entry is not None and entry.expires_at > self._clock():
            self._entries.move_to_end(key)
            self._count(name, hit=True)
            return entry.value  # type: ignore[no-any-return]
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
            self._keep(key, value)
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

    def _keep(self, key: bytes, value: Any) -> None:
        now = self._clock()
        while self._by_age and self._entries[oldest := next(iter(self._by_age))].expires_at <= now:
            self._drop(oldest)
        if key in self._entries:
            self._drop(key)
        size = size_bytes(value)
        if size > self._max_bytes:
            return
        while self._size_bytes + size > self._max_bytes:
            self._drop(next(iter(self._entries)))
        self._entries[key] = _Entry(value=value, size_bytes=size, expires_at=now + self._ttl_s)
        self._by_age[key] = None
        self._size_bytes += size

    def _drop(self, key: bytes) -> None:
        self._size_bytes -= self._entries.pop(key).size_bytes
        del self._by_age[key]

    def _count(self, name: str, *, hit: bool) -> None:
        before = self._counts.get(name, CacheCounts())
        self._counts[name] = CacheCounts(hits=before.hits + hit, misses=before.misses + (not hit))
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


def freeze(value: Any) -> Any:
    """A copy of `value` that cannot be changed: arrays over immutable bytes, tuples and mappings of such, poses."""
    if isinstance(value, np.ndarray):
        return np.ndarray(value.shape, value.dtype, buffer=value.tobytes())
    if isinstance(value, Mapping):
        return MappingProxyType({key: freeze(item) for key, item in value.items()})
    if isinstance(value, tuple | list):
        return tuple(freeze(item) for item in value)
    if isinstance(value, Pose):
        return Pose(**{name: freeze(points) for name, points in vars(value).items()})
    return value


def size_bytes(value: Any) -> int:
    """What a frozen value counts against the limit."""
    if isinstance(value, np.ndarray):
        return value.nbytes + VALUE_OVERHEAD_BYTES
    if isinstance(value, Mapping | Pose):
        return size_bytes(tuple(value.values() if isinstance(value, Mapping) else vars(value).values()))
    parts = value if isinstance(value, tuple) else ()
    return VALUE_OVERHEAD_BYTES + sum(size_bytes(part) for part in parts)


async def content_key(*parts: Part) -> bytes:
    """A digest of the parts, each with its type, shape and length: different parts never share a key."""
    if any(isinstance(part, np.ndarray) and part.nbytes > THREADED_DIGEST_BYTES for part in parts):
        return await asyncio.to_thread(_digest, parts)
    return _digest(parts)


def _digest(parts: Sequence[Part]) -> bytes:
    digest = hashlib.blake2b(digest_size=32)
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"array {part.dtype.str} {part.shape};".encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            text = part if isinstance(part, str) else repr(tuple(part))
            encoded = text.encode("utf-8", "surrogatepass")
            digest.update(f"{'text' if isinstance(part, str) else 'detections'} {len(encoded)};".encode())
            digest.update(encoded)
    return digest.digest()


class _CachedPort(Generic[Port]):
    def __init__(self, inner: Port, cache: ContentCache, *, variant: str = "") -> None:
        self._inner = inner
        self._cache = cache
        self._variant = variant

    async def _get(self, name: str, compute: Callable[[], Awaitable[T]], *parts: Part) -> T:
        return await self._cache.get(name, await content_key(name, self._variant, *parts), compute)


class CachedAnalyzer(_CachedPort[Analyzer]):
    """An `Analyzer` that looks at the same picture and reads the same prompt once."""

    async def detect_objects(self, image: Image) -> tuple[Detection, ...]:
        return await self._get("objects", lambda: self._inner.detect_objects(image), image)

    async def classify_reference(self, image: Image) -> Mapping[ReferenceKind, float]:
        return await self._get("reference", lambda: self._inner.classify_reference(image), image)

    async def classify_prompt(self, prompt: str) -> float:
        return await self._get("prompt", lambda: self._inner.classify_prompt(prompt), prompt)


class CachedDetector(_CachedPort[Detector]):
    """A `Detector` that looks for the same phrase in the same picture once."""

    async def detect(self, image: Image, phrase: str) -> tuple[Detection, ...]:
        return await self._get("detections", lambda: self._inner.detect(image, phrase), image, phrase)


class CachedSegmenter(_CachedPort[Segmenter]):
    """A `Segmenter` that cuts the same detections out of the same picture once."""

    async def segment(self, image: Image, detections: Sequence[Detection]) -> tuple[Mask, ...]:
        asked = tuple(detections)
        return await self._get("masks", lambda: self._inner.segment(image, asked), image, asked)


class CachedPoseEstimator(_CachedPort[PoseEstimator]):
    """A `PoseEstimator` that poses the same people in the same picture once."""

    async def estimate_pose(self, image: Image, people: Sequence[Detection]) -> tuple[Pose, ...]:
        asked = tuple(people)
        return await self._get("pose", lambda: self._inner.estimate_pose(image, asked), image, asked)


class CachedDepthEstimator(_CachedPort[DepthEstimator]):
    """A `DepthEstimator` that measures the same picture once."""

    async def estimate_depth(self, image: Image) -> DepthMap:
        return await self._get("depth", lambda: self._inner.estimate_depth(image), image)
