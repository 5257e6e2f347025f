"""The analyzer's process: batches from every request -> YOLOX or CLIP -> answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bentoml

from composition.config import load_config
from composition.types import Detection, Image, ReferenceKind
from models_store.store import ModelSet
from runners.batching import BatchLog, answer_batch
from runners.packing import packed
from runners.wire import SERVICE_OPTIONS, Answer, Parcel, batched, unbatched

_CONFIG = load_config()
_MODELS = ModelSet(_CONFIG.models)
_MAX_PICTURES = 16
_MAX_PROMPTS = 64


@bentoml.service(name="analyzer-runner", **SERVICE_OPTIONS)
class AnalyzerRunner:
    """YOLOX and CLIP behind BentoML's adaptive batching."""

    yolox_model = packed(_MODELS, "yolox")
    clip_model = packed(_MODELS, "clip")

    def __init__(self) -> None:
        # Imports torch: in the runner's own process only, as the front imports this module too.
        from runners.analyzer.models import load_models

        self._models = load_models(_CONFIG.models, _MODELS)
        self._log = BatchLog()

    @batched(_MAX_PICTURES)
    def detect_objects(self, items: list[Parcel[Image]]) -> list[Answer[tuple[Detection, ...]]]:
        """COCO objects per picture."""
        with self._log.batch("detect_objects", len(items)):
            return answer_batch(items, self._models.yolox.detect, doing="looking for objects")

    @batched(_MAX_PICTURES)
    def classify_reference(self, items: list[Parcel[Image]]) -> list[Answer[dict[ReferenceKind, float]]]:
        """Probability per kind of what each reference shows."""
        with self._log.batch("classify_reference", len(items)):
            return answer_batch(items, self._models.clip.classify_references, doing="classifying the reference")

    @batched(_MAX_PROMPTS)
    def classify_prompt(self, items: list[Parcel[str]]) -> list[Answer[float]]:
        """Probability that each prompt is about a body, a vehicle or furniture."""
        with self._log.batch("classify_prompt", len(items)):
            return answer_batch(items, self._models.clip.classify_prompts, doing="classifying the prompt")

    @unbatched
    async def state(self) -> Mapping[str, Any]:
        """Keys: models_loaded (names), batches (per method: batches and items so far)."""
        return {"models_loaded": ["yolox", "clip"], "batches": self._log.counts()}
