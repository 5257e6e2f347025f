"""The detector's models, loaded."""

from __future__ import annotations

from dataclasses import dataclass

from composition.config import Config, DetectionConfig
from models_store.store import ModelSet
from runners.analyzer.loading import load_elsewhere
from runners.analyzer.yolox import YoloxDetector
from runners.detector.coco_finder import CocoFinder
from runners.detector.grounding_dino import GroundingDino
from runners.detector.outlining import Outliner
from runners.detector.queries import DetectQuery
from runners.detector.sam import SamSegmenter
from runners.detectors_by_home import Detector, DetectorsByHome
from runners.home import Home
from runners.perception import PerceptionPlace

MAX_EMBEDDINGS_MB = 64
"""An image's SAM embedding is 4 MB in float32, and lives on the GPU where there is one."""


@dataclass(frozen=True, kw_only=True)
class DetectorModels:
    dino: Detector[DetectQuery]
    sam: SamSegmenter
    outliner: Outliner


def load_models(config: Config, models: ModelSet, place: PerceptionPlace) -> DetectorModels:
    """From the model store to their place. Raises: ModelsNotImported."""
    limits = config.models.detection
    keep = config.optimization
    cache_mb = min(keep.cache_max_mb, MAX_EMBEDDINGS_MB) if keep.cache_preprocessors else 0
    others = load_elsewhere(models, place)
    sam = SamSegmenter.load(
        models.path("sam"),
        place.home,
        place.dtype,
        cache_bytes=cache_mb << 20,
        cache_ttl_s=keep.cache_ttl_seconds,
    )
    return DetectorModels(
        dino=_load_grounding(limits, models, place, others),
        sam=sam,
        outliner=Outliner(sam, None if others is None or models.is_replaced("sam") else others[0]),
    )


def _load_grounding(
    limits: DetectionConfig, models: ModelSet, place: PerceptionPlace, others: tuple[Home, YoloxDetector] | None
) -> Detector[DetectQuery]:
    """GroundingDINO; beside the profile's own, COCO's classes for the images that it was not trained on."""
    confidence = limits.confidence_threshold
    dino = GroundingDino.load(
        models.path("grounding-dino"), place.home, confidence=confidence, nms=limits.nms_threshold
    )
    if others is None or models.is_replaced("grounding-dino"):
        return dino
    home, objects = others
    finder = CocoFinder(objects, confidence=confidence)
    return DetectorsByHome(home, here=dino, elsewhere=finder)
