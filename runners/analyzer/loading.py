"""The analyzer's models, loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from composition.images import Image
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
    home: Home | None

    def knows(self, images: Sequence[Image]) -> list[bool]:
        """Of each image whether the models were made for its kind."""
        return [True] * len(images) if self.home is None else self.home.knows(images)


def load_models(models: ModelSet, place: PerceptionPlace) -> AnalyzerModels:
    """From the model store to their place. Raises: ModelsNotImported."""
    yolox: Detector[ObjectsQuery] = AskedByQueries(
        YoloxDetector(open_network(models.part("yolox", "model"), place.device, home=place.home))
    )
    home, elsewhere = load_elsewhere(models, place) or (None, None)
    if home is not None and elsewhere is not None:
        yolox = DetectorsByHome(home, here=yolox, elsewhere=AskedByQueries(elsewhere))
    clip = ClipClassifier.load(models.path("clip"), place.home, place.dtype)
    return AnalyzerModels(yolox=yolox, clip=clip, home=home)


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
