"""The structure runner's models, loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from composition.config import ModelsConfig
from composition.images import Pose
from models_store.store import ModelSet
from runners.device import choose_device, perception_dtype
from runners.onnx_session import OnnxNetwork
from runners.structure.depth_anything import DepthAnything
from runners.structure.dwpose import DwPose
from runners.structure.openpose import OpenPose
from runners.structure.queries import PoseQuery


class PoseModel(Protocol):
    """DWPose or OpenPose."""

    def estimate(self, queries: Sequence[PoseQuery]) -> list[tuple[Pose, ...]]: ...


@dataclass(frozen=True, kw_only=True)
class StructureModels:
    pose: PoseModel
    depth: DepthAnything


def load_models(config: ModelsConfig, models: ModelSet) -> StructureModels:
    """From the model store, onto the configured device. Raises: ModelsNotImported, DeviceUnavailable."""
    device = choose_device(config.device)
    return StructureModels(
        pose=_load_pose(config, models, device),
        depth=DepthAnything.load(models.path("depth-anything"), device, perception_dtype(config.dtype, device)),
    )


def _load_pose(config: ModelsConfig, models: ModelSet, device: torch.device) -> PoseModel:
    if config.structure.pose_estimator == "openpose":
        assert config.structure.openpose is not None  # the configuration checks it
        return OpenPose.load(Path(config.structure.openpose).expanduser(), device)
    return DwPose(OnnxNetwork(models.part("dwpose", "model"), device, ("simcc_x", "simcc_y")))
