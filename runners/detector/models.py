"""The detector's models, loaded."""

from __future__ import annotations

from dataclasses import dataclass

from composition.config import ModelsConfig
from models_store.store import ModelSet
from runners.detector.grounding_dino import GroundingDino
from runners.device import choose_device


@dataclass(frozen=True, kw_only=True)
class DetectorModels:
    """Everything that the detector's runner runs."""

    dino: GroundingDino


def load_models(config: ModelsConfig, models: ModelSet) -> DetectorModels:
    """From the model store, onto the configured device. Raises: ModelsNotImported, DeviceUnavailable."""
    device = choose_device(config.device)
    limits = config.detection
    return DetectorModels(
        dino=GroundingDino.load(
            models.path("grounding-dino"),
            device,
            confidence=limits.confidence_threshold,
            nms=limits.nms_threshold,
        )
    )
