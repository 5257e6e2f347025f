"""The analyzer's models, loaded."""

from __future__ import annotations

from dataclasses import dataclass

from models_store.manifest import ELSEWHERE, HOME
from models_store.store import ModelSet
from runners.analyzer.clip import ClipClassifier
from runners.analyzer.queries import AskedByQueries, ObjectsQuery
from runners.analyzer.yolox import YoloxDetector
from runners.detectors_by_home import Detector, DetectorsByHome
from runners.home import Home
from runners.onnx_session import open_network
from runners.perception import PerceptionPlace


@dataclass(frozen=True, kw_only=True)
class AnalyzerModels:
    yolox: Detector[ObjectsQuery]
    clip: ClipClassifier


def load_models(models: ModelSet, place: PerceptionPlace) -> AnalyzerModels:
    """From the model store to their place. Raises: ModelsNotImported."""
    return AnalyzerModels(
        yolox=_load_objects(models, place),
        clip=ClipClassifier.load(models.path("clip"), place.home, place.dtype),
    )


def _load_objects(models: ModelSet, place: PerceptionPlace) -> Detector[ObjectsQuery]:
    detector = AskedByQueries(YoloxDetector(open_network(models.part("yolox", "model"), place.device, home=place.home)))
    others = load_elsewhere(models, place)
    if others is None:
        return detector
    home, elsewhere = others
    return DetectorsByHome(home, here=detector, elsewhere=AskedByQueries(elsewhere))


def load_elsewhere(models: ModelSet, place: PerceptionPlace) -> tuple[Home, YoloxDetector] | None:
    """What knows the images that the profile's own detectors were trained on, and the detector for all others.

    None where the profile has one detector for all. Raises: ModelsNotImported.
    """
    if not all(models.has_part("yolox", name) for name in (HOME, ELSEWHERE)):
        return None
    home, elsewhere = (
        open_network(models.part("yolox", name), place.device, home=place.home) for name in (HOME, ELSEWHERE)
    )
    return Home(home), YoloxDetector(elsewhere)
