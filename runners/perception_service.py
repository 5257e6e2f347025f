"""All perception models in one process, for a small card: one CUDA context instead of three, one model at work.

The same runners in the same process, asked by the same methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bentoml

from composition.config import load_config
from composition.decision import ReferenceKind
from composition.images import DepthMap, Detection, Image, Outlines, Pose
from runners.analyzer.queries import ObjectsQuery
from runners.analyzer.service import MAX_IMAGES as MAX_ANALYZED
from runners.analyzer.service import MAX_PROMPTS, AnalyzerRunner
from runners.detector.queries import DetectQuery, SegmentQuery
from runners.detector.service import MAX_QUERIES, DetectorRunner
from runners.refusal import refusing_to_start
from runners.remote import SERVICE_OPTIONS, Answer, Parcel, batched, unbatched
from runners.staying import StaysForFront
from runners.structure.queries import PoseQuery
from runners.structure.service import MAX_IMAGES as MAX_STRUCTURES
from runners.structure.service import StructureRunner
from runners.watching import watch_runner


@bentoml.service(name="perception-runner", **SERVICE_OPTIONS)
class PerceptionRunner(StaysForFront):
    """What the analyzer, the detector and the structure runner do, behind one server."""

    def __init__(self) -> None:
        runners: Any = (AnalyzerRunner, DetectorRunner, StructureRunner)
        with refusing_to_start():
            watch_runner(load_config(), "perception")
            self._analyzer, self._detector, self._structure = (runner.inner() for runner in runners)

    @batched(MAX_ANALYZED)
    def detect_objects(self, items: list[Parcel[ObjectsQuery]]) -> list[Answer[tuple[Detection, ...]]]:
        """See `AnalyzerRunner`."""
        answers: list[Answer[tuple[Detection, ...]]] = self._analyzer.detect_objects(items)
        return answers

    @batched(MAX_ANALYZED)
    def knows(self, items: list[Parcel[Image]]) -> list[Answer[bool]]:
        """See `AnalyzerRunner`."""
        answers: list[Answer[bool]] = self._analyzer.knows(items)
        return answers

    @batched(MAX_ANALYZED)
    def classify_reference(self, items: list[Parcel[Image]]) -> list[Answer[dict[ReferenceKind, float]]]:
        """See `AnalyzerRunner`."""
        answers: list[Answer[dict[ReferenceKind, float]]] = self._analyzer.classify_reference(items)
        return answers

    @batched(MAX_PROMPTS)
    def classify_prompt(self, items: list[Parcel[str]]) -> list[Answer[float]]:
        """See `AnalyzerRunner`."""
        answers: list[Answer[float]] = self._analyzer.classify_prompt(items)
        return answers

    @batched(MAX_QUERIES)
    def detect(self, items: list[Parcel[DetectQuery]]) -> list[Answer[tuple[Detection, ...]]]:
        """See `DetectorRunner`."""
        answers: list[Answer[tuple[Detection, ...]]] = self._detector.detect(items)
        return answers

    @batched(MAX_QUERIES)
    def segment(self, items: list[Parcel[SegmentQuery]]) -> list[Answer[Outlines]]:
        """See `DetectorRunner`."""
        answers: list[Answer[Outlines]] = self._detector.segment(items)
        return answers

    @batched(MAX_STRUCTURES)
    def estimate_pose(self, items: list[Parcel[PoseQuery]]) -> list[Answer[tuple[Pose, ...]]]:
        """See `StructureRunner`."""
        answers: list[Answer[tuple[Pose, ...]]] = self._structure.estimate_pose(items)
        return answers

    @batched(MAX_STRUCTURES)
    def estimate_depth(self, items: list[Parcel[Image]]) -> list[Answer[DepthMap]]:
        """See `StructureRunner`."""
        answers: list[Answer[DepthMap]] = self._structure.estimate_depth(items)
        return answers

    @unbatched
    async def state(self) -> Mapping[str, Any]:
        """What the three say, together: models_loaded, batches, embeddings."""
        states = [await runner.state() for runner in (self._analyzer, self._detector, self._structure)]
        return {
            **states[1],
            "models_loaded": [name for state in states for name in state["models_loaded"]],
            "batches": {method: counts for state in states for method, counts in state["batches"].items()},
        }


_service: Any = PerceptionRunner
for _runner in (AnalyzerRunner, DetectorRunner, StructureRunner):
    _held: Any = _runner
    _service.models.extend(_held.models)
