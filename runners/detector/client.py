"""The `Detector` and `Segmenter` ports over the detector's runner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from composition.images import Detection, Image, Mask
from runners.detector.queries import DetectQuery, SegmentQuery
from runners.remote import RunnerClient


class BentoDetector:
    """`composition.ports.Detector` and `composition.ports.Segmenter`.

    Args:
        handle: the runner, as `bentoml.depends(DetectorRunner)` gives it.
    """

    def __init__(self, handle: Any) -> None:
        self._runner = RunnerClient(handle, name="detector")

    async def detect(self, image: Image, phrase: str) -> tuple[Detection, ...]:
        """See the port. Raises: InvalidInput (no word to look for), NotReady, Timeout, ModelError, OutOfMemory."""
        return cast(tuple[Detection, ...], await self._runner.ask("detect", DetectQuery(image=image, phrase=phrase)))

    async def segment(self, image: Image, detections: Sequence[Detection]) -> tuple[Mask, ...]:
        """See the port. Raises: InvalidInput (a box without area), NotReady, Timeout, ModelError, OutOfMemory."""
        if not detections:
            return ()
        query = SegmentQuery(image=image, boxes=tuple(item.box for item in detections))
        return cast(tuple[Mask, ...], await self._runner.ask("segment", query))

    async def state(self) -> Mapping[str, Any]:
        """The runner's models and batch counters. Raises: NotReady, Timeout, ModelError."""
        return cast(Mapping[str, Any], await self._runner.call("state"))
