"""The detector's process: batches from every request -> GroundingDINO or SAM -> answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import bentoml

from composition.config import load_config
from composition.images import Detection, Outlines
from models_store.plan.decided import decide, planned
from models_store.store import ModelSet
from runners.detector.queries import DetectQuery, SegmentQuery, has_usable_marks, shape_of
from runners.packing import packed
from runners.refusal import refusing_to_start
from runners.remote import SERVICE_OPTIONS, Answer, Parcel, batched, unbatched
from runners.staying import StaysForFront
from runners.watching import watch_runner

_CONFIG = planned(load_config())
_MODELS = ModelSet(_CONFIG.models)
MAX_QUERIES = 4
"""Images of 800 x 1333 pixels take much memory on their way through, and a GPU shares its own with the diffusion."""


@bentoml.service(name="detector-runner", **SERVICE_OPTIONS)
class DetectorRunner(StaysForFront):
    """GroundingDINO and SAM behind BentoML's adaptive batching.

    Where a profile has a second detector for what its GroundingDINO does not know, that is the analyzer's, which is
    packed there and is in the same Bento.
    """

    grounding_dino_model = packed(_MODELS, "grounding-dino")
    sam_model = packed(_MODELS, "sam")

    def __init__(self) -> None:
        # Imports torch: in the runner's own process only, as the front imports this module too.
        with refusing_to_start():
            from runners.detector.loading import load_models
            from runners.perception import choose_place

            place = choose_place(_CONFIG, decide(load_config()))
            self._models = load_models(_CONFIG, _MODELS, place)
            self._desk = place.desk
            watch_runner(_CONFIG, "detector")

    @batched(MAX_QUERIES)
    def detect(self, items: list[Parcel[DetectQuery]]) -> list[Answer[tuple[Detection, ...]]]:
        """Instances of each query's phrase."""
        return self._desk.answer(
            "detect",
            items,
            self._models.dino.detect,
            doing="looking for the target",
            group_by=shape_of,
            module=self._models.dino.module,
            make_room=self._models.sam.forget,
        )

    @batched(MAX_QUERIES)
    def segment(self, items: list[Parcel[SegmentQuery]]) -> list[Answer[Outlines]]:
        """Silhouettes of what each query marks."""
        return self._desk.answer(
            "segment",
            items,
            self._models.outliner.segment,
            doing="drawing the silhouette",
            group_by=has_usable_marks,
            module=self._models.outliner.module,
            make_room=self._models.sam.forget,
        )

    @unbatched
    async def state(self) -> Mapping[str, Any]:
        """Keys: models_loaded (names), batches (counts per method so far), embeddings (SAM's)."""
        return {
            "models_loaded": ["grounding-dino", "sam"],
            "batches": self._desk.counts(),
            "embeddings": asdict(self._models.sam.cache_counts),
        }
