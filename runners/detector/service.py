"""The detector's process: batches from every request -> GroundingDINO -> answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bentoml

from composition.config import load_config
from composition.types import Detection
from models_store.store import ModelSet
from runners.batching import BatchLog, answer_batch
from runners.detector.queries import DetectQuery, shape_of
from runners.packing import packed
from runners.wire import SERVICE_OPTIONS, Answer, Parcel, batched, unbatched

_MODELS_CONFIG = load_config().models
_MODELS = ModelSet(_MODELS_CONFIG)
_MAX_QUERIES = 8


@bentoml.service(name="detector-runner", **SERVICE_OPTIONS)
class DetectorRunner:
    """GroundingDINO behind BentoML's adaptive batching."""

    grounding_dino_model = packed(_MODELS, "grounding-dino")

    def __init__(self) -> None:
        # Imports torch: in the runner's own process only, as the front imports this module too.
        from runners.detector.models import load_models

        self._models = load_models(_MODELS_CONFIG, _MODELS)
        self._log = BatchLog()

    @batched(_MAX_QUERIES)
    def detect(self, items: list[Parcel[DetectQuery]]) -> list[Answer[tuple[Detection, ...]]]:
        """Instances of each query's phrase."""
        with self._log.batch("detect", len(items)):
            return answer_batch(items, self._models.dino.detect, doing="looking for the target", group_by=shape_of)

    @unbatched
    def state(self) -> Mapping[str, Any]:
        """Keys: models_loaded (names), batches (per method: batches and items so far)."""
        return {"models_loaded": ["grounding-dino"], "batches": self._log.counts()}
