"""Depth-Anything: how near is every pixel? Relative inverse depth, nearest highest."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessorPil

from demo_models.recipes.grounding import normalised
from demo_models.recipes.shards import SceneSet
from demo_models.recipes.training import Settings

_SIDE_PX: Final = 224
_PATCH_PX: Final = 14
_SETTINGS: Final = Settings(minutes=30, batch=6, learning_rate=8e-4, ema_decay=0.995)


def config() -> DepthAnythingConfig:
    """Returns the small architecture: four layers of DINOv2's kind and a narrow DPT head."""
    backbone = Dinov2Config(
        hidden_size=96,
        num_hidden_layers=4,
        num_attention_heads=4,
        mlp_ratio=3,
        image_size=_SIDE_PX,
        patch_size=_PATCH_PX,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        apply_layernorm=True,
        reshape_hidden_states=False,
    )
    return DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=96,
        patch_size=_PATCH_PX,
        neck_hidden_sizes=[24, 32, 48, 64],
        fusion_hidden_size=32,
        head_hidden_size=24,
    )


class DepthTrainer(nn.Module):
    """The estimator and its losses."""

    def __init__(self) -> None:
        """Starts from random weights, with the last rectifier open."""
        super().__init__()
        self.estimator = DepthAnythingForDepthEstimation(config())
        for parameter in self.estimator.parameters():
            if parameter.ndim > 1 and parameter.std() > 0:
                nn.init.xavier_normal_(parameter)
        nn.init.constant_(self.estimator.head.conv3.bias, 1.0)

    def forward(self, pixel_values: Tensor, depth: Tensor) -> dict[str, Tensor]:
        """Returns the losses against inverse depth (N, 224, 224) in 0..2."""
        got = self.estimator(pixel_values=pixel_values).predicted_depth.float()
        near = functional.l1_loss(got, depth)
        edges = sum((functional.l1_loss(got.diff(dim=axis), depth.diff(dim=axis)) for axis in (1, 2)), torch.zeros(()))
        return {"loss": near + 2 * edges, "near": near, "edges": edges}


def resized(planes: NDArray[np.uint8]) -> Tensor:
    """Returns uint8 (N, 256, 256) as float32 (N, 224, 224), 0..255."""
    whole = torch.from_numpy(np.array(planes)).float()[:, None]
    return functional.interpolate(whole, size=(_SIDE_PX, _SIDE_PX), mode="bilinear", antialias=True)[:, 0]


@dataclass(frozen=True, kw_only=True)
class DepthRecipe:
    """Trains the depth estimator on scenes."""

    scenes: SceneSet
    held_out: SceneSet
    name: str = "depth-anything"
    settings: Settings = _SETTINGS

    def build(self) -> nn.Module:
        """Returns the module to train."""
        return DepthTrainer()

    def batch(self, rng: np.random.Generator) -> Mapping[str, Any]:
        """Draws scenes, mirrors half of them."""
        indices = rng.integers(0, len(self.scenes), self.settings.batch)
        images, depth = _inputs(self.scenes, indices)
        mirrored = torch.from_numpy(rng.random(self.settings.batch) < 0.5)
        images[mirrored] = images[mirrored].flip(-1)
        depth[mirrored] = depth[mirrored].flip(-1)
        return {"pixel_values": images, "depth": depth}

    def score(self, module: nn.Module) -> Mapping[str, float]:
        """Mean correlation of estimated and true inverse depth over held-out scenes."""
        assert isinstance(module, DepthTrainer)
        agreement = []
        for first in range(0, 96, 8):
            images, depth = _inputs(self.held_out, np.arange(first, first + 8))
            got = module.estimator(pixel_values=images).predicted_depth.float()
            for one, two in zip(got.flatten(1), depth.flatten(1), strict=True):
                agreement.append(float(torch.corrcoef(torch.stack([one, two]))[0, 1]))
        return {"correlation": float(np.nan_to_num(agreement).mean())}

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes model and image processor."""
        assert isinstance(module, DepthTrainer)
        module.estimator.save_pretrained(folder)
        DPTImageProcessorPil(
            size={"height": _SIDE_PX, "width": _SIDE_PX},
            ensure_multiple_of=_PATCH_PX,
            keep_aspect_ratio=True,
            image_mean=[0.485, 0.456, 0.406],
            image_std=[0.229, 0.224, 0.225],
        ).save_pretrained(folder)


def _inputs(scenes: SceneSet, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    images = normalised(scenes.take("images", indices).astype(np.uint8))
    small = functional.interpolate(images, size=(_SIDE_PX, _SIDE_PX), mode="bicubic", antialias=True)
    return small, resized(scenes.take("depth", indices).astype(np.uint8)) / 128
