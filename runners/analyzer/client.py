"""The `Analyzer` port over the analyzer's runner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from composition.decision import ReferenceKind
from composition.images import Detection, Image
from runners.analyzer.queries import ObjectsQuery
from runners.remote import RunnerClient


class BentoAnalyzer(RunnerClient):
    """`composition.ports.Analyzer`; raises as `ask` does.

    Args:
        handle: the runner.
        of_one_kind: the profile's models were made for one kind of image; else they know all, and nobody is asked.
    """

    def __init__(self, handle: Any, *, of_one_kind: bool = False) -> None:
        super().__init__(handle, name="analyzer")
        self._of_one_kind = of_one_kind

    async def detect_objects(self, image: Image, *, like: Image | None = None) -> tuple[Detection, ...]:
        return cast(tuple[Detection, ...], await self.ask("detect_objects", ObjectsQuery(image=image, like=like)))

    async def knows(self, image: Image) -> bool:
        return not self._of_one_kind or bool(await self.ask("knows", image))

    async def classify_reference(self, image: Image) -> Mapping[ReferenceKind, float]:
        return cast(Mapping[ReferenceKind, float], await self.ask("classify_reference", image))

    async def classify_prompt(self, prompt: str) -> float:
        return float(await self.ask("classify_prompt", prompt))
