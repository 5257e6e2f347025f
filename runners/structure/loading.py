"""The structure runner's models, loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from composition.config import ModelsConfig
from composition.images import Pose
from models_store.store import ModelSet
from runners.onnx_session import open_network
from runners.perception import PerceptionPlace
from runners.structure.depth_anything import DepthAnything
from runners.structure.dwpose import DwPose
from runners.structure.openpose import OpenPose
from runners.structure.queries import PoseQuery


class PoseModel(Protocol):
    """DWPose or OpenPose."""

    @property
    def module(self) -> object: ...

    def estimate(self, queries: Sequence[PoseQuery]) -> list[tuple[Pose, ...]]: ...


@dataclass(frozen=True, kw_only=True)
class StructureModels:
    pose: PoseModel
    depth: DepthAnything


def load_models(config: ModelsConfig, models: ModelSet, place: PerceptionPlace) -> StructureModels:
    """From the model store to their place. Raises: ModelsNotImported."""
    return StructureModels(
        pose=_load_pose(config, models, place),
        depth=DepthAnything.load(models.path("depth-anything"), place.home, place.dtype),
    )


def _load_pose(config: ModelsConfig, models: ModelSet, place: PerceptionPlace) -> PoseModel:
    if config.structure.pose_estimator == "openpose":
        assert config.structure.openpose is not None  # the configuration checks it
        return OpenPose.load(Path(config.structure.openpose).expanduser(), place.device)
    return DwPose(open_network(models.part("dwpose", "model"), place.device, ("simcc_x", "simcc_y"), home=place.home))
