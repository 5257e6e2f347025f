"""The `Analyzer` port over the analyzer's runner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from composition.decision import ReferenceKind
from composition.images import Detection, Image
from runners.analyzer.queries import ObjectsQuery
from runners.remote import RunnerClient


class BentoAnalyzer(RunnerClient):
    """`composition.ports.Analyzer`; raises as `ask` does."""

    def __init__(self, handle: Any) -> None:
        super().__init__(handle, name="analyzer")

    async def detect_objects(self, image: Image, *, like: Image | None = None) -> tuple[Detection, ...]:
        return cast(tuple[Detection, ...], await self.ask("detect_objects", ObjectsQuery(image=image, like=like)))

    async def classify_reference(self, image: Image) -> Mapping[ReferenceKind, float]:
        return cast(Mapping[ReferenceKind, float], await self.ask("classify_reference", image))

    async def classify_prompt(self, prompt: str) -> float:
        return float(await self.ask("classify_prompt", prompt))
