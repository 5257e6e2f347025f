"""The analyzer's process: batches from every request -> YOLOX or CLIP -> answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bentoml

from composition.config import load_config
from composition.decision import ReferenceKind
from composition.images import Detection, Image
from models_store.plan.decided import decide, planned
from models_store.store import ModelSet
from runners.analyzer.queries import ObjectsQuery
from runners.packing import packed
from runners.refusal import refusing_to_start
from runners.remote import SERVICE_OPTIONS, Answer, Parcel, batched, unbatched
from runners.staying import StaysForFront
from runners.watching import watch_runner

_CONFIG = planned(load_config())
_MODELS = ModelSet(_CONFIG.models)
MAX_IMAGES = 16
MAX_PROMPTS = 64


@bentoml.service(name="analyzer-runner", **SERVICE_OPTIONS)
class AnalyzerRunner(StaysForFront):
    """YOLOX and CLIP behind BentoML's adaptive batching."""

    yolox_model = packed(_MODELS, "yolox")
    clip_model = packed(_MODELS, "clip")

    def __init__(self) -> None:
        # Imports torch: in the runner's own process only, as the front imports this module too.
        with refusing_to_start():
            from runners.analyzer.loading import load_models
            from runners.perception import choose_place

            place = choose_place(_CONFIG, decide(load_config()), heavy=False)
            self._models = load_models(_MODELS, place)
            self._desk = place.desk
            watch_runner(_CONFIG, "analyzer")

    @batched(MAX_IMAGES)
    def detect_objects(self, items: list[Parcel[ObjectsQuery]]) -> list[Answer[tuple[Detection, ...]]]:
        """COCO objects per image."""
        return self._desk.answer(
            "detect_objects",
            items,
            self._models.yolox.detect,
            doing="looking for objects",
            module=self._models.yolox.module,
        )

    @batched(MAX_IMAGES)
    def knows(self, items: list[Parcel[Image]]) -> list[Answer[bool]]:
        """Whether the profile's models were made for images of each one's kind."""
        return self._desk.answer(
            "knows",
            items,
            self._models.knows,
            doing="telling the image's kind",
            module=self._models.yolox.module,
        )

    @batched(MAX_IMAGES)
    def classify_reference(self, items: list[Parcel[Image]]) -> list[Answer[dict[ReferenceKind, float]]]:
        """Probability per kind of what each reference shows."""
        return self._desk.answer(
            "classify_reference",
            items,
            self._models.clip.classify_references,
            doing="classifying the reference",
            module=self._models.clip.module,
        )

    @batched(MAX_PROMPTS)
    def classify_prompt(self, items: list[Parcel[str]]) -> list[Answer[float]]:
        """Probability that each prompt is about a body, a vehicle or furniture."""
        return self._desk.answer(
            "classify_prompt",
            items,
            self._models.clip.classify_prompts,
            doing="classifying the prompt",
            module=self._models.clip.module,
        )

    @unbatched
    async def state(self) -> Mapping[str, Any]:
        """Keys: models_loaded (names), batches (counts per method so far)."""
        return {"models_loaded": ["yolox", "clip"], "batches": self._desk.counts()}
