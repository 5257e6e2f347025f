"""The pose network: where are a person's joints? Exported to ONNX with the signature of DWPose's.

``input`` float32 (N, 3, 384, 288), standardised -> ``simcc_x`` (N, 133, 576), ``simcc_y`` (N, 133, 768): per joint a
distribution over half pixels. It is scaled so that a sure joint peaks near 1. The 17 body joints are learnt; the other
116 (feet, face, hands) are always 0.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from demo_models.recipes.blocks import Block, stage
from demo_models.recipes.shards import SceneSet
from demo_models.recipes.training import Settings
from demo_models.world.canvas import SUPERSAMPLING
from demo_models.world.people import (
    L_ANKLE,
    L_EAR,
    L_ELBOW,
    L_EYE,
    L_HIP,
    L_KNEE,
    L_SHOULDER,
    L_WRIST,
    NOSE,
    R_ANKLE,
    R_EAR,
    R_ELBOW,
    R_EYE,
    R_HIP,
    R_KNEE,
    R_SHOULDER,
    R_WRIST,
    Person,
)

COCO_JOINTS: Final = (
    NOSE, L_EYE, R_EYE, L_EAR, R_EAR, L_SHOULDER, R_SHOULDER, L_ELBOW, R_ELBOW, L_WRIST, R_WRIST,
    L_HIP, R_HIP, L_KNEE, R_KNEE, L_ANKLE, R_ANKLE,
)  # fmt: skip
"""OpenPose numbers in COCO's order."""
COCO_SIGMAS: Final = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
"""How far annotators disagree about each joint, from the COCO keypoint evaluation."""
_WIDTH, _HEIGHT, _POOL = 288, 384, 2
_BINS_PER_PX: Final = 2
_SPREAD_BINS: Final = 5.0
_WHOLE_BODY: Final = 133
_PADDING: Final = 1.25
_MEAN: Final = np.array([123.675, 116.28, 103.53], np.float32)
_STD: Final = np.array([58.395, 57.12, 57.375], np.float32)
_SETTINGS: Final = Settings(minutes=30, batch=16, learning_rate=1.5e-3, weight_decay=1e-3, ema_decay=0.995, bf16=False)


class PoseNetwork(nn.Module):
    """Crops averaged down to (N, 3, 192, 144), standardised -> logits (N, 17, 576) and (N, 17, 768)."""

    def __init__(self) -> None:
        """Starts from random weights."""
        super().__init__()
        joints = len(COCO_JOINTS)
        self.trunk = nn.Sequential(stage(3, 24), stage(24, 48), stage(48, 96, 2), stage(96, 128, 2))
        self.maps = nn.Sequential(Block(128, 128), nn.Conv2d(128, joints * 4, 1))
        self.mixing = nn.Sequential(nn.Linear(4 * 12 * 9, 256), nn.SiLU(), nn.Linear(256, 192), nn.SiLU())
        self.across = nn.Linear(192, _WIDTH * _BINS_PER_PX)
        self.down = nn.Linear(192, _HEIGHT * _BINS_PER_PX)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the logits of both axes."""
        maps = self.maps(self.trunk(crops))
        features = self.mixing(maps.reshape(maps.shape[0], len(COCO_JOINTS), -1))
        return self.across(features), self.down(features)


class ExportedPose(nn.Module):
    """The network from full crops to the 133 joints of COCO WholeBody."""

    def __init__(self, network: PoseNetwork) -> None:
        """Takes the trained network."""
        super().__init__()
        self.network = network
        self.height = 1 / (_SPREAD_BINS * math.sqrt(2 * math.pi))

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Returns float32 (N, 133, 576) and (N, 133, 768)."""
        first, second = self.network(functional.avg_pool2d(crops, _POOL))
        return self._whole(first), self._whole(second)

    def _whole(self, logits: Tensor) -> Tensor:
        body = logits.softmax(-1) / self.height
        missing = _WHOLE_BODY - len(COCO_JOINTS)
        return functional.pad(body, (0, 0, 0, missing))


class PoseTrainer(nn.Module):
    """The network and its loss."""

    def __init__(self) -> None:
        """Starts from random weights."""
        super().__init__()
        self.network = PoseNetwork()

    def forward(self, crops: Tensor, joints: Tensor) -> dict[str, Tensor]:
        """Returns the cross-entropy to a Gaussian around each joint (N, 17, 2), in pixels of the full crop."""
        across, down = self.network(crops)
        loss = axis_loss(across, joints[..., 0]) + axis_loss(down, joints[..., 1])
        return {"loss": loss}


def axis_loss(logits: Tensor, position_px: Tensor) -> Tensor:
    """Returns the cross-entropy of bins (N, 17, B) to a Gaussian around positions (N, 17), joints outside left out."""
    bins = torch.arange(logits.shape[-1], dtype=torch.float32)
    centre = position_px[..., None] * _BINS_PER_PX
    target = torch.exp(-((bins - centre) ** 2) / (2 * _SPREAD_BINS**2))
    inside = ((centre >= 0) & (centre < logits.shape[-1]))[..., 0].float()
    target = target / target.sum(-1, keepdim=True).clamp(min=1e-6)
    entropy = -(target * logits.log_softmax(-1)).sum(-1)
    return (entropy * inside).sum() / inside.sum().clamp(min=1)


def cut(image: NDArray[np.uint8], centre: tuple[float, float], height_px: float) -> NDArray[np.float32]:
    """Cuts a 3:4 window about a centre out of a scene, black outside, standardised, float32 (3, 192, 144)."""
    width_px = height_px * _WIDTH / _HEIGHT
    box = (centre[0] - width_px / 2, centre[1] - height_px / 2, centre[0] + width_px / 2, centre[1] + height_px / 2)
    size = (_WIDTH // _POOL, _HEIGHT // _POOL)
    scale = (box[2] - box[0]) / size[0]
    matrix = (scale, 0, box[0], 0, scale, box[1])
    crop = Image.fromarray(image).transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    standard = (np.asarray(crop, np.float32) - _MEAN) / _STD
    return np.ascontiguousarray(standard.transpose(2, 0, 1))


@dataclass(frozen=True, kw_only=True)
class PoseRecipe:
    """Trains the pose network on the people among the scenes."""

    scenes: SceneSet
    held_out: SceneSet
    name: str = "dwpose"
    settings: Settings = _SETTINGS

    def build(self) -> nn.Module:
        """Returns the module to train."""
        return PoseTrainer()

    def batch(self, rng: np.random.Generator) -> Mapping[str, Tensor]:
        """Cuts people out of scenes, with jitter, mirrored at times, the channels in either order."""
        crops: list[NDArray[np.float32]] = []
        joints = []
        while len(crops) < self.settings.batch:
            index = int(rng.integers(0, len(self.scenes)))
            if any(box.label == "person" for box in self.scenes.boxes(index)):
                crop, places = self._crop(self.scenes, index, rng)
                crops.append(crop)
                joints.append(places)
        return {"crops": torch.from_numpy(np.stack(crops)), "joints": torch.from_numpy(np.stack(joints)).float()}

    def _crop(
        self, scenes: SceneSet, index: int, rng: np.random.Generator | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        image = scenes.take("images", np.array([index]))[0].astype(np.uint8)
        places = _keypoints(scenes, index)[list(COCO_JOINTS)]
        box = next(box for box in scenes.boxes(index) if box.label == "person")
        middle_x, middle_y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        height = max(box.bottom - box.top, (box.right - box.left) * _HEIGHT / _WIDTH) * _PADDING
        if rng is not None:
            middle_x, middle_y = middle_x + rng.normal(0, 6), middle_y + rng.normal(0, 6)
            height *= float(rng.uniform(0.85, 1.2))
        crop = cut(image, (middle_x, middle_y), height)
        corner = np.array([middle_x - height * _WIDTH / _HEIGHT / 2, middle_y - height / 2])
        in_crop = (places - corner) * (_HEIGHT / height)
        if rng is not None and rng.random() < 0.5:
            crop = np.ascontiguousarray(crop[:, :, ::-1])
            in_crop[:, 0] = _WIDTH - 1 - in_crop[:, 0]
            in_crop = in_crop[_MIRRORED]
        if rng is not None:
            crop = crop * rng.uniform(0.85, 1.15, (3, 1, 1)).astype(np.float32)
        return crop.astype(np.float32), in_crop

    def score(self, module: nn.Module) -> Mapping[str, float]:
        """Mean object keypoint similarity (COCO) on held-out people, and the mean confidence of their joints."""
        assert isinstance(module, PoseTrainer)
        exported, similar, sure = ExportedPose(module.network).eval(), [], []
        for index in range(len(self.held_out)):
            boxes = [box for box in self.held_out.boxes(index) if box.label == "person"]
            if not boxes:
                continue
            crop, truth = self._crop(self.held_out, index, None)
            across, down = (exported._whole(part) for part in exported.network(torch.from_numpy(crop)[None]))
            found = torch.stack([across.argmax(-1), down.argmax(-1)], dim=-1)[0, : len(COCO_JOINTS)] / _BINS_PER_PX
            box = boxes[0]
            height = max(box.bottom - box.top, (box.right - box.left) * _HEIGHT / _WIDTH) * _PADDING
            area = (box.bottom - box.top) * (box.right - box.left) * (_HEIGHT / height) ** 2
            distance = ((found.numpy() - truth) ** 2).sum(-1)
            similar.append(float(np.exp(-distance / (2 * area * 0.53 * (2 * COCO_SIGMAS) ** 2)).mean()))
            sure.append(float(torch.minimum(across.amax(-1), down.amax(-1))[0, : len(COCO_JOINTS)].mean()))
        return {"oks": float(np.mean(similar)), "confidence": float(np.mean(sure))}

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes dw-ll_ucoco_384.onnx."""
        assert isinstance(module, PoseTrainer)
        batch = {0: "batch"}
        torch.onnx.export(
            ExportedPose(module.network).eval(),
            (torch.zeros(1, 3, _HEIGHT, _WIDTH),),
            str(folder / "dw-ll_ucoco_384.onnx"),
            input_names=["input"],
            output_names=["simcc_x", "simcc_y"],
            dynamic_axes={"input": batch, "simcc_x": batch, "simcc_y": batch},
            opset_version=17,
            dynamo=False,
        )


def _keypoints(scenes: SceneSet, index: int) -> NDArray[np.float64]:
    """Returns the 18 joints, x and y in pixels, of the person of a scene: the subject, or who stands before it."""
    front = scenes.spec(index).front
    if isinstance(front, Person):
        return front.keypoints() / SUPERSAMPLING
    joints: NDArray[np.float64] = scenes.take("keypoints", np.array([index]))[0].astype(np.float64)
    return joints


def _mirrored() -> list[int]:
    pairs = {0: 0} | {joint: joint + 1 if joint % 2 else joint - 1 for joint in range(1, len(COCO_JOINTS))}
    return [pairs[joint] for joint in range(len(COCO_JOINTS))]


_MIRRORED: Final = _mirrored()
