"""The structure runner's process: batches from every request -> DWPose or Depth-Anything -> answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bentoml

from composition.config import load_config
from composition.images import DepthMap, Image, Pose
from models_store.plan.decided import decide, planned
from models_store.store import ModelSet
from runners.batching import BatchDesk
from runners.packing import packed
from runners.refusal import refusing_to_start
from runners.remote import SERVICE_OPTIONS, Answer, Parcel, batched, unbatched
from runners.staying import StaysForFront
from runners.structure.queries import PoseQuery, has_usable_people, shape_of

_CONFIG = planned(load_config())
_MODELS = ModelSet(_CONFIG.models)
MAX_IMAGES = 4


@bentoml.service(name="structure-runner", **SERVICE_OPTIONS)
class StructureRunner(StaysForFront):
    """The pose net and Depth-Anything V2 behind BentoML's adaptive batching."""

    dwpose_model = packed(_MODELS, "dwpose") if _CONFIG.models.structure.pose_estimator == "dwpose" else None
    depth_model = packed(_MODELS, "depth-anything")

    def __init__(self) -> None:
        # Imports torch: in the runner's own process only, as the front imports this module too.
        with refusing_to_start():
            from runners.perception import choose_place
            from runners.structure.loading import load_models

            place = choose_place(_CONFIG, decide(load_config()))
            self._models = load_models(_CONFIG.models, _MODELS, place)
        self._desk: BatchDesk = place.desk

    @batched(MAX_IMAGES)
    def estimate_pose(self, items: list[Parcel[PoseQuery]]) -> list[Answer[tuple[Pose, ...]]]:
        """Poses of each query's people."""
        return self._desk.answer(
            "estimate_pose",
            items,
            self._models.pose.estimate,
            doing="estimating poses",
            group_by=has_usable_people,
            module=self._models.pose.module,
        )

    @batched(MAX_IMAGES)
    def estimate_depth(self, items: list[Parcel[Image]]) -> list[Answer[DepthMap]]:
        """Depth of each image."""
        return self._desk.answer(
            "estimate_depth",
            items,
            self._models.depth.estimate,
            doing="estimating depth",
            group_by=shape_of,
            module=self._models.depth.module,
        )

    @unbatched
    async def state(self) -> Mapping[str, Any]:
        """Keys: models_loaded (names), batches (counts per method so far)."""
        return {
            "models_loaded": [_CONFIG.models.structure.pose_estimator, "depth-anything"],
            "batches": self._desk.counts(),
        }
