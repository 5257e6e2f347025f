"""The structure runner's models, loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from composition.config import ModelsConfig
from models_store.manifest import ELSEWHERE
from models_store.store import ModelSet
from runners.onnx_session import open_network
from runners.perception import PerceptionPlace
from runners.structure.depth_anything import DepthAnything
from runners.structure.dwpose import DwPose
from runners.structure.movenet import MoveNet
from runners.structure.openpose import OpenPose
from runners.structure.poses_by_sureness import PoseModel, PosesBySureness


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
    outputs = ("simcc_x", "simcc_y")
    own = DwPose(open_network(models.part("dwpose", "model"), place.device, outputs, home=place.home))
    if not models.has_part("dwpose", ELSEWHERE):
        return own
    elsewhere = open_network(models.part("dwpose", ELSEWHERE), place.device, home=place.home)
    return PosesBySureness(own, MoveNet(elsewhere))
