"""Models that take all frames of a clip for of one kind: route, detect, mask.

Some profiles have detectors for images of their own world beside those for photographs (docs/adr/0017). Which are asked
is decided by the image; of a clip the first frame decides for all, or a thing would be lost where a frame is in doubt.
"""

from __future__ import annotations

from dataclasses import replace

from composition.images import Detection, Image
from composition.pipelines.context import Models
from composition.ports.vision import Analyzer, Detector


def of_one_kind(models: Models, first: Image) -> Models:
    """Those that take every image for of the kind of the first one."""
    return replace(
        models, analyzer=_AnalyzerOfOneKind(models.analyzer, first), detector=_DetectorOfOneKind(models.detector, first)
    )


class _AnalyzerOfOneKind:
    def __init__(self, inner: Analyzer, first: Image) -> None:
        self._inner, self._first = inner, first
        self.classify_reference, self.classify_prompt = inner.classify_reference, inner.classify_prompt

    async def detect_objects(self, image: Image, *, like: Image | None = None) -> tuple[Detection, ...]:
        return await self._inner.detect_objects(image, like=_other(self._first, image))

    async def knows(self, image: Image) -> bool:
        return await self._inner.knows(self._first)


class _DetectorOfOneKind:
    def __init__(self, inner: Detector, first: Image) -> None:
        self._inner, self._first = inner, first

    async def detect(self, image: Image, phrase: str, *, like: Image | None = None) -> tuple[Detection, ...]:
        return await self._inner.detect(image, phrase, like=_other(self._first, image))


def _other(first: Image, image: Image) -> Image | None:
    """None where it is the first one itself: the answer is the one that an edit of that has, and may be cached."""
    return None if image is first else first
