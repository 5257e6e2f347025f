"""The `Detector` and `Segmenter` ports over the detector's runner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from composition.images import Detection, Image, Outlines
from composition.marks import Mark
from runners.detector.queries import DetectQuery, SegmentQuery
from runners.remote import RunnerClient


class BentoDetector(RunnerClient):
    """`composition.ports.Detector` and `composition.ports.Segmenter`; raises as `ask` does.

    A phrase without a word and a box without area are an InvalidInput.
    """

    def __init__(self, handle: Any) -> None:
        super().__init__(handle, name="detector")

    async def detect(self, image: Image, phrase: str, *, like: Image | None = None) -> tuple[Detection, ...]:
        query = DetectQuery(image=image, phrase=phrase, like=like)
        return cast(tuple[Detection, ...], await self.ask("detect", query))

    async def segment(self, image: Image, detections: Sequence[Detection]) -> Outlines:
        if not detections:
            return Outlines()
        return await self._segment(image, tuple(Mark(box=item.box) for item in detections))

    async def segment_marked(self, image: Image, mark: Mark) -> Outlines:
        return await self._segment(image, (mark,))

    async def _segment(self, image: Image, marks: tuple[Mark, ...]) -> Outlines:
        return cast(Outlines, await self.ask("segment", SegmentQuery(image=image, marks=marks)))
