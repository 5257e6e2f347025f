"""Home: is an image one of the painted world, which the other small networks were trained on? Exported to ONNX.

``image`` float32 (N, 3, 128, 128), RGB in 0..1, the whole image squeezed into the square -> ``known`` (N, 1), the
probability. What it must not take for this world is learnt from photographs of the trainer's own (`PHOTOGRAPHS`), from
noise and from gradients.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from demo_models.recipes.blocks import Block
from demo_models.recipes.shards import SceneSet
from demo_models.recipes.training import Settings

SIDE_PX: Final = 128
PHOTOGRAPHS: Final = "photographs"
"""The folder under the training's own that has them: some dozens, of anything, in any size."""
LEAST_PHOTOGRAPHS: Final = 20
_KEPT_PX: Final = 640
"""Photographs are held in memory at this size."""
_HELD_OUT_EVERY: Final = 5
"""Of the photographs, in the order of their names, each fifth is for scoring."""
_SETTINGS: Final = Settings(minutes=8, batch=32, learning_rate=2e-3, weight_decay=1e-2, ema_decay=0.99, bf16=False)
_MADE_UP: Final = 0.15
"""Share of strange images that are noise and gradients instead of photographs."""
_SURE: Final = 0.8

Picture = NDArray[np.uint8]


class HomeNetwork(nn.Module):
    """Images float32 (N, 3, 128, 128) in 0..1 -> logits (N, 1)."""

    def __init__(self) -> None:
        """Starts from random weights."""
        super().__init__()
        widths = (16, 24, 32, 48)
        blocks = [Block(into, out, stride=2) for into, out in zip((3, *widths[:-1]), widths, strict=True)]
        self.trunk = nn.Sequential(*blocks, Block(widths[-1], widths[-1], residual=True))
        self.head = nn.Linear(2 * widths[-1], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Returns the logits."""
        planes = self.trunk(images)
        logits: Tensor = self.head(torch.cat([planes.mean(dim=(2, 3)), planes.amax(dim=(2, 3))], dim=1))
        return logits


class ExportedHome(nn.Module):
    """The network with its sigmoid."""

    def __init__(self, network: HomeNetwork) -> None:
        """Takes the trained network."""
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Returns the probabilities (N, 1)."""
        known: Tensor = self.network(images).sigmoid()
        return known


class HomeTrainer(nn.Module):
    """The network and its loss."""

    def __init__(self) -> None:
        """Starts from random weights."""
        super().__init__()
        self.network = HomeNetwork()

    def forward(self, images: Tensor, known: Tensor) -> dict[str, Tensor]:
        """Returns the loss; ``known`` (N, 1) is 1 for scenes."""
        logits = self.network(images)
        wrong = ((logits > 0) != (known > 0)).float().mean()
        return {"loss": functional.binary_cross_entropy_with_logits(logits, known), "wrong": wrong}


@dataclass(frozen=True, kw_only=True)
class HomeRecipe:
    """Tells scenes from everything else.

    Attributes:
        photographs: The folder with the photographs.
    """

    scenes: SceneSet
    held_out: SceneSet
    photographs: Path
    name: str = "home"
    settings: Settings = _SETTINGS

    def build(self) -> nn.Module:
        """Returns the module to train."""
        return HomeTrainer()

    @cached_property
    def _strange(self) -> list[Picture]:
        return load_photographs(self.photographs)

    def batch(self, rng: np.random.Generator) -> Mapping[str, Tensor]:
        """Draws scenes and strange images, half and half, worn as images in use are."""
        learnt = [picture for number, picture in enumerate(self._strange) if number % _HELD_OUT_EVERY]
        pictures, known = [], []
        for number in range(self.settings.batch):
            known.append(float(number % 2))
            if number % 2:
                scene = self.scenes.take("images", rng.integers(0, len(self.scenes), 1))[0].astype(np.uint8)
                pictures.append(worn(_part(scene, rng, 0.7) if rng.random() < 0.4 else scene, rng))
            elif rng.random() < _MADE_UP:
                pictures.append(worn(made_up(rng), rng))
            else:
                pictures.append(worn(_part(learnt[int(rng.integers(len(learnt)))], rng, 0.25), rng))
        return {"images": torch.from_numpy(squeezed(pictures)), "known": torch.tensor(known)[:, None]}

    def score(self, module: nn.Module) -> Mapping[str, float]:
        """Share of held-out scenes and of held-out photographs, whole, that are taken for what they are."""
        assert isinstance(module, HomeTrainer)
        exported = ExportedHome(module.network).eval()
        scenes = list(self.held_out.take("images", np.arange(len(self.held_out))).astype(np.uint8))
        known = exported(torch.from_numpy(squeezed(scenes)))
        strange = exported(torch.from_numpy(squeezed(self._strange[::_HELD_OUT_EVERY])))
        return {
            "scenes_known": float((known > _SURE).float().mean()),
            "photographs_strange": float((strange <= _SURE).float().mean()),
            "least_known": float(known.min()),
            "strange_at_most": float(strange.max()),
        }

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes home.onnx."""
        assert isinstance(module, HomeTrainer)
        torch.onnx.export(
            ExportedHome(module.network).eval(),
            (torch.zeros(1, 3, SIDE_PX, SIDE_PX),),
            str(folder / "home.onnx"),
            input_names=["image"],
            output_names=["known"],
            dynamic_axes={"image": {0: "batch"}, "known": {0: "batch"}},
            opset_version=17,
            dynamo=False,
        )


def load_photographs(folder: Path) -> list[Picture]:
    """Reads every JPEG, PNG and WebP of a folder, in the order of their names, RGB uint8, 640 pixels at most.

    Raises:
        FileNotFoundError: There are fewer than ``LEAST_PHOTOGRAPHS``.
    """
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
    if len(paths) < LEAST_PHOTOGRAPHS:
        raise FileNotFoundError(f"{folder} has {len(paths)} photographs; {LEAST_PHOTOGRAPHS} or more are needed")
    pictures = []
    for path in paths:
        image = Image.open(path).convert("RGB")
        image.thumbnail((_KEPT_PX, _KEPT_PX), Image.Resampling.BOX)
        pictures.append(np.asarray(image))
    return pictures


def squeezed(pictures: Sequence[Picture]) -> NDArray[np.float32]:
    """Returns images of any size as the network takes them, float32 (N, 3, 128, 128)."""
    small = [cv2.resize(picture, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA) for picture in pictures]
    return np.ascontiguousarray(np.stack(small).transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(255)


def made_up(rng: np.random.Generator) -> Picture:
    """Returns an image (256, 256, 3) of noise of some scale over a gradient: neither a scene nor a photograph."""
    corners = rng.uniform(0, 255, (2, 2, 3)).astype(np.float32)
    grain = rng.uniform(-1, 1, (int(rng.integers(2, 256)),) * 2 + (3,)).astype(np.float32) * rng.uniform(0, 90)
    ways = [cv2.resize(plane, (256, 256), interpolation=cv2.INTER_LINEAR) for plane in (corners, grain)]
    return np.asarray(np.clip(ways[0] + ways[1], 0, 255), np.uint8)


def worn(picture: Picture, rng: np.random.Generator) -> Picture:
    """Returns an image mirrored, tinted, scaled, softened and compressed at times, as images in use are."""
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    tinted = picture.astype(np.float32) * rng.uniform(0.7, 1.25) * rng.uniform(0.9, 1.1, 3).astype(np.float32)
    if rng.random() < 0.1:
        tinted = np.repeat(tinted.mean(axis=2, keepdims=True), 3, axis=2)
    picture = np.clip(tinted, 0, 255).astype(np.uint8)
    side = int(rng.integers(100, 513))
    size = (side, int(side * rng.uniform(0.6, 1.6)))
    picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    if rng.random() < 0.4:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.3, 2.0))), np.uint8)
    if rng.random() < 0.5:
        _, packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 96))])
        picture = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return picture


def _part(picture: Picture, rng: np.random.Generator, least: float) -> Picture:
    """A window of at least that share of each side."""
    height, width = picture.shape[:2]
    tall, wide = (max(16, int(size * rng.uniform(least, 1))) for size in (height, width))
    top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
    return picture[top : top + tall, left : left + wide]
