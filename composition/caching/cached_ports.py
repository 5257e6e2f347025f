"""The same photograph again costs no model call: ports wrapped in a content-addressed cache.

Each `Cached...` class is the port that it wraps. Its key is a digest of the pixels, their shape, every other argument
and `variant`, which names the models and their thresholds. So a hit is a hit on identical content, whoever asked first,
and nothing else of one request can reach another. Values are immutable: arrays are read-only for good.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from composition.caching.content_key import Part, content_key_off_loop
from composition.caching.single_flight import SingleFlight
from composition.decision import ReferenceKind
from composition.images import DepthMap, Detection, Image, Outlines, Pose
from composition.marks import Mark
from composition.ports.vision import Analyzer, DepthEstimator, Detector, PoseEstimator, Segmenter

T = TypeVar("T")
Port = TypeVar("Port")


class _CachedPort(Generic[Port]):
    def __init__(self, inner: Port, cache: SingleFlight, *, variant: str = "") -> None:
        self._inner = inner
        self._cache = cache
        self._variant = variant

    async def _get(self, name: str, compute: Callable[[], Awaitable[T]], *parts: Part) -> T:
        return await self._cache.get(name, await content_key_off_loop(name, self._variant, *parts), compute)


class CachedAnalyzer(_CachedPort[Analyzer]):
    async def detect_objects(self, image: Image, *, like: Image | None = None) -> tuple[Detection, ...]:
        if like is None:
            return await self._get("objects", lambda: self._inner.detect_objects(image), image)
        return await self._get("objects", lambda: self._inner.detect_objects(image, like=like), image, like)

    async def knows(self, image: Image) -> bool:
        return await self._get("kind", lambda: self._inner.knows(image), image)

    async def classify_reference(self, image: Image) -> Mapping[ReferenceKind, float]:
        return await self._get("reference", lambda: self._inner.classify_reference(image), image)

    async def classify_prompt(self, prompt: str) -> float:
        return await self._get("prompt", lambda: self._inner.classify_prompt(prompt), prompt)


class CachedDetector(_CachedPort[Detector]):
    async def detect(self, image: Image, phrase: str, *, like: Image | None = None) -> tuple[Detection, ...]:
        if like is None:
            return await self._get("detections", lambda: self._inner.detect(image, phrase), image, phrase)
        return await self._get("detections", lambda: self._inner.detect(image, phrase, like=like), image, phrase, like)


class CachedSegmenter(_CachedPort[Segmenter]):
    async def segment(self, image: Image, detections: Sequence[Detection]) -> Outlines:
        asked = tuple(detections)
        return await self._get("masks", lambda: self._inner.segment(image, asked), image, asked)

    async def segment_marked(self, image: Image, mark: Mark) -> Outlines:
        return await self._get("masks", lambda: self._inner.segment_marked(image, mark), image, mark)


class CachedPoseEstimator(_CachedPort[PoseEstimator]):
    async def estimate_pose(self, image: Image, people: Sequence[Detection]) -> tuple[Pose, ...]:
        asked = tuple(people)
        return await self._get("pose", lambda: self._inner.estimate_pose(image, asked), image, asked)


class CachedDepthEstimator(_CachedPort[DepthEstimator]):
    async def estimate_depth(self, image: Image) -> DepthMap:
        return await self._get("depth", lambda: self._inner.estimate_depth(image), image)
