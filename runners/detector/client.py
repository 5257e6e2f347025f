"""The `Detector` and `Segmenter` ports over the detector's runner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from composition.images import Detection, Image, Mask
from runners.detector.queries import DetectQuery, SegmentQuery
from runners.remote import RunnerClient


class BentoDetector(RunnerClient):
    """`composition.ports.Detector` and `composition.ports.Segmenter`; raises as `ask` does.

    A phrase without a word and a box without area are an InvalidInput.
    """

    def __init__(self, handle: Any) -> None:
        super().__init__(handle, name="detector")

    async def detect(self, image: Image, phrase: str) -> tuple[Detection, ...]:
        return cast(tuple[Detection, ...], await self.ask("detect", DetectQuery(image=image, phrase=phrase)))

    async def segment(self, image: Image, detections: Sequence[Detection]) -> tuple[Mask, ...]:
        if not detections:
            return ()
        query = SegmentQuery(image=image, boxes=tuple(item.box for item in detections))
        return cast(tuple[Mask, ...], await self.ask("segment", query))
