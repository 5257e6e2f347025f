"""The `Analyzer` port over the analyzer's runner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from composition.decision import ReferenceKind
from composition.images import Detection, Image
from runners.remote import RunnerClient


class BentoAnalyzer:
    """`composition.ports.Analyzer`.

    Args:
        handle: the runner, as `bentoml.depends(AnalyzerRunner)` gives it.
    """

    def __init__(self, handle: Any) -> None:
        self._runner = RunnerClient(handle, name="analyzer")

    async def detect_objects(self, image: Image) -> tuple[Detection, ...]:
        """See the port. Raises: NotReady, Timeout, ModelError, OutOfMemory."""
        return cast(tuple[Detection, ...], await self._runner.ask("detect_objects", image))

    async def classify_reference(self, image: Image) -> Mapping[ReferenceKind, float]:
        """See the port. Raises: as `detect_objects`."""
        return cast(Mapping[ReferenceKind, float], await self._runner.ask("classify_reference", image))

    async def classify_prompt(self, prompt: str) -> float:
        """See the port. Raises: as `detect_objects`."""
        return float(await self._runner.ask("classify_prompt", prompt))

    async def state(self) -> Mapping[str, Any]:
        """The runner's models and batch counters. Raises: NotReady, Timeout, ModelError."""
        return cast(Mapping[str, Any], await self._runner.call("state"))
