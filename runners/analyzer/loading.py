"""The analyzer's models, loaded."""

from __future__ import annotations

from dataclasses import dataclass

from models_store.store import ModelSet
from runners.analyzer.clip import ClipClassifier
from runners.analyzer.yolox import YoloxDetector
from runners.onnx_session import open_network
from runners.perception import PerceptionPlace


@dataclass(frozen=True, kw_only=True)
class AnalyzerModels:
    yolox: YoloxDetector
    clip: ClipClassifier


def load_models(models: ModelSet, place: PerceptionPlace) -> AnalyzerModels:
    """From the model store to their place. Raises: ModelsNotImported."""
    return AnalyzerModels(
        yolox=YoloxDetector(open_network(models.part("yolox", "model"), place.device, home=place.home)),
        clip=ClipClassifier.load(models.path("clip"), place.home, place.dtype),
    )
