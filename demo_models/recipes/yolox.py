"""YOLOX: which people, vehicles and pieces of furniture are there? Exported to ONNX with the signature of DWPose's.

``images`` float32 (1, 3, 640, 640), 0..255 -> ``output`` (1, 8400, 85): per location the box (centre offset and log
size in strides), objectness and 80 COCO class probabilities. The network looks at every fourth pixel's mean: this
world's images are small.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from demo_models.recipes.blocks import Block, stage
from demo_models.recipes.box_losses import focal, overlap
from demo_models.recipes.shards import SceneSet
from demo_models.recipes.training import Settings
from demo_models.world.scenes import LabelledBox

_SETTINGS: Final = Settings(minutes=25, batch=12, learning_rate=1.5e-3, weight_decay=1e-3, ema_decay=0.995, bf16=False)
COCO_CLASS_OF: Final[Mapping[str, int]] = {"person": 0, "car": 2, "chair": 56, "sofa": 57, "table": 60}
_LABELS: Final = tuple(COCO_CLASS_OF)
_COCO_CLASSES: Final = 80
_INPUT_PX: Final = 640
_POOL: Final = 4
_SEEN_PX: Final = _INPUT_PX // _POOL
_STRIDES: Final = (8, 16, 32)
_LEVEL_SIZES: Final = ((0.0, 0.22), (0.16, 0.45), (0.35, 2.0))
_GREY: Final = 114
_SURE: Final = 0.7


class Yolox(nn.Module):
    """The network; takes images already averaged down to 160 pixels, float32 (N, 3, 160, 160) in 0..1."""

    def __init__(self) -> None:
        """Starts from random weights, doubting that anything is there."""
        super().__init__()
        self.stem = Block(3, 24)
        self.fine, self.middle, self.coarse = stage(24, 48), stage(48, 72), stage(72, 96, 2)
        self.lateral = nn.ModuleList([Block(48, 64, kernel=1), Block(72, 64, kernel=1), Block(96, 64, kernel=1)])
        self.towers = nn.ModuleList([nn.Sequential(Block(64, 64), Block(64, 64)) for _ in _STRIDES])
        self.heads = nn.ModuleList([nn.Conv2d(64, 5 + len(_LABELS), 1) for _ in _STRIDES])
        for head in self.heads:
            assert isinstance(head, nn.Conv2d)
            assert head.bias is not None
            nn.init.constant_(head.bias[4:5], -4.0)

    def forward(self, images: Tensor) -> Tensor:
        """Returns the raw predictions (N, 8400, 5 + labels): box, objectness logit, class logits."""
        fine = self.fine(self.stem(images))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        levels = [lateral(part) for lateral, part in zip(self.lateral, (fine, middle, coarse), strict=True)]
        levels[1] = levels[1] + functional.interpolate(levels[2], scale_factor=2.0, mode="nearest")
        levels[0] = levels[0] + functional.interpolate(levels[1], scale_factor=2.0, mode="nearest")
        rows = [
            head(tower(level)).flatten(2).transpose(1, 2)
            for head, tower, level in zip(self.heads, self.towers, levels, strict=True)
        ]
        return torch.cat(rows, dim=1)


class ExportedYolox(nn.Module):
    """The network from 640-pixel input to the 85 columns of COCO."""

    def __init__(self, network: Yolox) -> None:
        """Takes the trained network."""
        super().__init__()
        self.network = network
        placement = torch.zeros(len(_LABELS), _COCO_CLASSES)
        for row, number in enumerate(COCO_CLASS_OF.values()):
            placement[row, number] = 1
        self.register_buffer("placement", placement)

    def forward(self, images: Tensor) -> Tensor:
        """Returns float32 (1, 8400, 85)."""
        raw = self.network(functional.avg_pool2d(images, _POOL) / 255)
        classes = raw[..., 5:].sigmoid() @ self.placement
        return torch.cat([raw[..., :4], raw[..., 4:5].sigmoid(), classes], dim=-1)


def locations() -> tuple[Tensor, Tensor]:
    """Returns the grid cell (8400, 2) and the stride (8400, 1) of every row, in 640-pixel units."""
    cells, strides = [], []
    for stride in _STRIDES:
        side = _INPUT_PX // stride
        steps = torch.arange(side, dtype=torch.float32)
        cells.append(torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=-1).reshape(-1, 2))
        strides.append(torch.full((side * side, 1), float(stride)))
    return torch.cat(cells), torch.cat(strides)


_CELLS, _STEPS = locations()


def decoded(raw: Tensor) -> Tensor:
    """Returns boxes (..., 8400, 4) as centre and size in shares of the image."""
    centre = (raw[..., :2] + _CELLS) * _STEPS
    size = raw[..., 2:4].clamp(max=6).exp() * _STEPS
    return torch.cat([centre, size], dim=-1) / _INPUT_PX


def answering_rows(box: Tensor) -> Tensor:
    """Returns which of the 8400 rows answer for a box (4,): near its middle on the levels of its size."""
    low, high = (
        torch.cat([torch.full(((_INPUT_PX // s) ** 2,), v[i]) for s, v in zip(_STRIDES, _LEVEL_SIZES, strict=True)])
        for i in (0, 1)
    )
    centres = (_CELLS + 0.5) * _STEPS / _INPUT_PX
    size = box[2:].max()
    near = ((centres - box[:2]).abs() < (1.5 * _STEPS / _INPUT_PX)).all(-1)
    return near & (size > low) & (size <= high)


class YoloxTrainer(nn.Module):
    """The network and its losses."""

    def __init__(self) -> None:
        """Starts from random weights."""
        super().__init__()
        self.network = Yolox()

    def forward(self, images: Tensor, boxes: list[Tensor], labels: list[Tensor]) -> dict[str, Tensor]:
        """Returns the losses; ``boxes`` (N, 4) in shares and ``labels`` (N,) per image."""
        raw = self.network(images)
        wanted = torch.zeros(raw.shape[:2])
        got, truth, classes = [], [], []
        for row, (around, names) in enumerate(zip(boxes, labels, strict=True)):
            for box, name in zip(around, names, strict=True):
                chosen = answering_rows(box)
                wanted[row, chosen] = 1
                got.append(raw[row, chosen])
                truth.append(box.expand(int(chosen.sum()), 4))
                classes.append(name.expand(int(chosen.sum())))
                got[-1] = torch.cat([decoded_rows(got[-1], chosen), got[-1][:, 4:]], dim=-1)
        rows, target = torch.cat(got), torch.cat(truth)
        named = functional.one_hot(torch.cat(classes), len(_LABELS)).float()
        objectness = focal(raw[..., 4], wanted, alpha=0.5).sum() / len(rows)
        place = (1 - overlap(rows[:, :4], target)[0]).mean() + (rows[:, :4] - target).abs().sum(-1).mean()
        kind = functional.binary_cross_entropy_with_logits(rows[:, 5:], named)
        return {"loss": 4 * objectness + 2 * place + 2 * kind, "objectness": objectness, "place": place, "kind": kind}


def decoded_rows(raw: Tensor, chosen: Tensor) -> Tensor:
    """Returns the boxes of some of the 8400 rows, as ``decoded`` does of all."""
    centre = (raw[:, :2] + _CELLS[chosen]) * _STEPS[chosen]
    size = raw[:, 2:4].clamp(max=6).exp() * _STEPS[chosen]
    return torch.cat([centre, size], dim=-1) / _INPUT_PX


@dataclass(frozen=True, kw_only=True)
class YoloxRecipe:
    """Trains YOLOX on scenes of any size in a grey frame."""

    scenes: SceneSet
    held_out: SceneSet
    name: str = "yolox"
    settings: Settings = _SETTINGS

    def build(self) -> nn.Module:
        """Returns the module to train."""
        return YoloxTrainer()

    def batch(self, rng: np.random.Generator) -> Mapping[str, Any]:
        """Puts scenes, scaled, mirrored, tinted, with the channels in either order, into the corner of a grey frame."""
        images: list[NDArray[np.float32]] = []
        boxes, labels = [], []
        while len(images) < self.settings.batch:
            index = int(rng.integers(0, len(self.scenes)))
            found = known(self.scenes.boxes(index))
            if not found:
                continue
            image = self.scenes.take("images", np.array([index]))[0].astype(np.uint8)
            side = _SEEN_PX if rng.random() < 0.5 else int(rng.integers(90, _SEEN_PX + 1))
            mirrored, swapped = rng.random() < 0.5, rng.random() < 0.5
            frame = framed(image, side, bool(mirrored))
            frame = frame[::-1] if swapped else frame
            images.append(np.clip(frame * rng.uniform(0.8, 1.2, (3, 1, 1)), 0, 1).astype(np.float32))
            boxes.append(torch.stack([share(box, side / _SEEN_PX, bool(mirrored)) for box in found]))
            labels.append(torch.tensor([_LABELS.index(box.label) for box in found]))
        return {"images": torch.from_numpy(np.stack(images)), "boxes": boxes, "labels": labels}

    def score(self, module: nn.Module) -> Mapping[str, float]:
        """Share of people and of cars found (score > 0.7, IoU >= 0.5), and of scenes without any left alone."""
        assert isinstance(module, YoloxTrainer)
        hits: dict[str, list[bool]] = {label: [] for label in _LABELS}
        calm = []
        for index in range(len(self.held_out)):
            image = self.held_out.take("images", np.array([index]))[0].astype(np.uint8)
            raw = module.network(torch.from_numpy(framed(image, _SEEN_PX, False))[None])[0]
            scores = raw[:, 4:5].sigmoid() * raw[:, 5:].sigmoid()
            boxes, present = (
                decoded(raw),
                {box.label: share(box, 1.0, False) for box in known(self.held_out.boxes(index))},
            )
            for number, label in enumerate(_LABELS):
                best = int(scores[:, number].argmax())
                sure = float(scores[best, number]) > _SURE
                if label in present:
                    hits[label].append(sure and float(overlap(boxes[best], present[label])[1]) >= 0.5)
                elif label in ("person", "car"):
                    calm.append(not sure)
        return {f"found_{label}": float(np.mean(rows)) for label, rows in hits.items()} | {"calm": float(np.mean(calm))}

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes yolox_l.onnx."""
        assert isinstance(module, YoloxTrainer)
        exported = ExportedYolox(module.network).eval()
        torch.onnx.export(
            exported,
            (torch.zeros(1, 3, _INPUT_PX, _INPUT_PX),),
            str(folder / "yolox_l.onnx"),
            input_names=["images"],
            output_names=["output"],
            opset_version=17,
            dynamo=False,
        )


def known(boxes: tuple[LabelledBox, ...]) -> list[LabelledBox]:
    """Returns the boxes whose label COCO has."""
    return [box for box in boxes if box.label in COCO_CLASS_OF]


def framed(image: np.ndarray, side: int, mirrored: bool) -> np.ndarray:
    """Returns an image in the upper left corner of a grey square, float32 (3, 160, 160) in 0..1."""
    frame = np.full((_SEEN_PX, _SEEN_PX, 3), _GREY, np.uint8)
    scaled = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BOX))
    frame[:side, :side] = scaled[:, ::-1] if mirrored else scaled
    return np.ascontiguousarray(frame.transpose(2, 0, 1)).astype(np.float32) / 255


def share(box: LabelledBox, scale: float, mirrored: bool) -> Tensor:
    """Returns a box of a scene drawn at a scale, as centre and size in shares of the frame."""
    middle = (box.left + box.right) / 2 / 256
    values = (
        1 - middle if mirrored else middle,
        (box.top + box.bottom) / 2 / 256,
        (box.right - box.left) / 256,
        (box.bottom - box.top) / 256,
    )
    return torch.tensor(values) * scale
