"""The models of one request of several edits: what two edits ask for alike is computed once.

For as long as the request lasts, and whether or not anything is cached beyond it: the edits have one photograph, so
equal arguments are the same question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from composition.decision import ReferenceKind
from composition.images import DepthMap, Detection, Image, Mask, Pose
from composition.marks import Mark
from composition.pipelines.context import Models

T = TypeVar("T")


def asked_once(models: Models) -> Models:
    """The models behind a memory of their own, for one request."""
    once = _Once(models)
    return replace(models, analyzer=once, detector=once, segmenter=once, pose=once, depth=once)


class _Once:
    """Images are told apart by identity, which holds while the memory holds them."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._answers: dict[Hashable, asyncio.Future[Any]] = {}
        self._images: list[Image] = []

    async def detect_objects(self, image: Image) -> tuple[Detection, ...]:
        return await self._get(lambda: self._models.analyzer.detect_objects(image), "objects", image)

    async def classify_reference(self, image: Image) -> Mapping[ReferenceKind, float]:
        return await self._get(lambda: self._models.analyzer.classify_reference(image), "reference", image)

    async def classify_prompt(self, prompt: str) -> float:
        return await self._models.analyzer.classify_prompt(prompt)

    async def detect(self, image: Image, phrase: str) -> tuple[Detection, ...]:
        return await self._get(lambda: self._models.detector.detect(image, phrase), "detect", image, phrase)

    async def segment(self, image: Image, detections: Sequence[Detection]) -> tuple[Mask, ...]:
        asked = tuple(detections)
        return await self._get(lambda: self._models.segmenter.segment(image, asked), "segment", image, asked)

    async def segment_marked(self, image: Image, mark: Mark) -> Mask:
        return await self._models.segmenter.segment_marked(image, mark)

    async def estimate_pose(self, image: Image, people: Sequence[Detection]) -> tuple[Pose, ...]:
        asked = tuple(people)
        return await self._get(lambda: self._models.pose.estimate_pose(image, asked), "pose", image, asked)

    async def estimate_depth(self, image: Image) -> DepthMap:
        return await self._get(lambda: self._models.depth.estimate_depth(image), "depth", image)

    async def _get(self, ask: Callable[[], Awaitable[T]], kind: str, image: Image, *rest: Hashable) -> T:
        key = (kind, id(image), *rest)
        if key not in self._answers:
            self._images.append(image)
            self._answers[key] = asyncio.ensure_future(ask())
        answer: T = await self._answers[key]
        return answer
