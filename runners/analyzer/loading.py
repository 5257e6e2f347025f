"""The analyzer's models, loaded."""

from __future__ import annotations

from dataclasses import dataclass

from composition.config import ModelsConfig
from models_store.store import ModelSet
from runners.analyzer.clip import ClipClassifier
from runners.analyzer.yolox import YoloxDetector
from runners.device import choose_device, perception_dtype
from runners.onnx_session import OnnxNetwork


@dataclass(frozen=True, kw_only=True)
class AnalyzerModels:
    yolox: YoloxDetector
    clip: ClipClassifier


def load_models(config: ModelsConfig, models: ModelSet) -> AnalyzerModels:
    """From the model store, onto the configured device. Raises: ModelsNotImported, DeviceUnavailable."""
    device = choose_device(config.device)
    return AnalyzerModels(
        yolox=YoloxDetector(OnnxNetwork(models.part("yolox", "model"), device)),
        clip=ClipClassifier.load(models.path("clip"), device, perception_dtype(config.dtype, device)),
    )
