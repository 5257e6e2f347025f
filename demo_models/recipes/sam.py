"""SAM: the silhouette of what is in a box."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import SamConfig, SamImageProcessorPil, SamModel

from demo_models.recipes.grounding import normalised
from demo_models.recipes.masks import label_mask
from demo_models.recipes.shards import SceneSet
from demo_models.recipes.training import Settings
from demo_models.recipes.workdir import start_folder
from demo_models.world.scenes import LabelledBox
from demo_models.world.scoring import intersection_over_union

_SIDE_PX: Final = 256
_MASK_PX: Final = 128
_BOXES_PER_IMAGE: Final = 3
_BATCH: Final = 4
_SETTINGS: Final = Settings(minutes=40, learning_rate=8e-4, ema_decay=0.995)


def config() -> SamConfig:
    """Returns the small architecture: cells of 8 pixels, windowed attention, one global layer."""
    return SamConfig(
        vision_config={
            "hidden_size": 96,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "output_channels": 64,
            "mlp_dim": 256,
            "global_attn_indexes": [3],
            "num_pos_feats": 32,
            "image_size": _SIDE_PX,
            "patch_size": 8,
            "window_size": 8,
        },
        prompt_encoder_config={"hidden_size": 64, "image_size": _SIDE_PX, "patch_size": 8},
        mask_decoder_config={
            "hidden_size": 64,
            "mlp_dim": 128,
            "num_attention_heads": 4,
            "iou_head_hidden_dim": 64,
            "num_hidden_layers": 2,
        },
    )


class SegmentTrainer(nn.Module):
    """SAM and its losses."""

    def __init__(self, start: Path | None = None) -> None:
        """Starts from earlier weights, or from random ones."""
        super().__init__()
        if start is not None:
            self.segmenter = SamModel.from_pretrained(start, dtype=torch.float32)
            return
        self.segmenter = SamModel(config())
        # The published frequencies are normal with deviation 1; the library's own start has half the width, 32, with
        # which places next to each other look unrelated, and boxes are never understood.
        places = self.segmenter.shared_image_embedding.positional_embedding
        nn.init.normal_(places)
        assert self.segmenter.prompt_encoder.shared_embedding.positional_embedding is places

    def forward(self, pixel_values: Tensor, boxes: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """Returns the losses for boxes (B, N, 4) in pixels and masks (B, N, 128, 128) in 0..1."""
        out = self.segmenter(pixel_values=pixel_values, input_boxes=boxes, multimask_output=False)
        logits = out.pred_masks[:, :, 0].float()
        cross = functional.binary_cross_entropy_with_logits(logits, masks)
        probability = logits.sigmoid()
        shared = (probability * masks).sum((-1, -2))
        dice = (1 - (2 * shared + 1) / (probability.sum((-1, -2)) + masks.sum((-1, -2)) + 1)).mean()
        with torch.no_grad():
            inside, truth = logits > 0, masks > 0.5
            union = (inside | truth).sum((-1, -2)).clamp(min=1)
            reached = (inside & truth).sum((-1, -2)) / union
        judged = functional.mse_loss(out.iou_scores[..., 0].float(), reached)
        return {"loss": 5 * cross + dice + 0.1 * judged, "dice": dice, "cross": cross}


@dataclass(frozen=True, kw_only=True)
class SegmentRecipe:
    """Trains SAM on the boxes and silhouettes of scenes."""

    scenes: SceneSet
    held_out: SceneSet
    name: str = "sam"
    settings: Settings = _SETTINGS

    def build(self) -> nn.Module:
        """Returns the module to train."""
        return SegmentTrainer(start_folder(self.name))

    def batch(self, rng: np.random.Generator) -> Mapping[str, Any]:
        """Draws scenes, mirrors half of them, and shakes their boxes as a detector would."""
        images: list[NDArray[np.uint8]] = []
        boxes, masks = [], []
        while len(images) < _BATCH:
            index = int(rng.integers(0, len(self.scenes)))
            image = self.scenes.take("images", np.array([index]))[0].astype(np.uint8)
            corners, shapes = self._prompts(index, rng)
            if rng.random() < 0.5:
                image, shapes = image[:, ::-1], shapes[:, :, ::-1]
                corners[:, [0, 2]] = _SIDE_PX - corners[:, [2, 0]]
            images.append(image)
            boxes.append(corners)
            masks.append(functional.avg_pool2d(torch.from_numpy(shapes.astype(np.float32)), _SIDE_PX // _MASK_PX))
        return {
            "pixel_values": normalised(np.stack(images)),
            "boxes": torch.from_numpy(np.stack(boxes)).float(),
            "masks": torch.stack(masks),
        }

    def _prompts(self, index: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        found = self.scenes.boxes(index)
        chosen = [found[int(number)] for number in rng.integers(0, len(found), _BOXES_PER_IMAGE)]
        shapes = np.stack([instance_mask(self.scenes, index, box) for box in chosen])
        corners = np.array([[box.left, box.top, box.right, box.bottom] for box in chosen], dtype=np.float64)
        size = np.tile(corners[:, 2:] - corners[:, :2], 2)
        shaken = corners + rng.normal(0, 0.04, corners.shape) * size
        return np.clip(shaken, 0, _SIDE_PX), shapes

    def score(self, module: nn.Module) -> Mapping[str, float]:
        """Mean IoU of held-out silhouettes from their true boxes, per label and over all."""
        assert isinstance(module, SegmentTrainer)
        rows: dict[str, list[float]] = {}
        for index in range(100):
            found = self.held_out.boxes(index)
            pixels = normalised(self.held_out.take("images", np.array([index])).astype(np.uint8))
            corners = torch.tensor([[[b.left, b.top, b.right, b.bottom] for b in found]], dtype=torch.float32)
            out = module.segmenter(pixel_values=pixels, input_boxes=corners, multimask_output=False)
            drawn = functional.interpolate(out.pred_masks[0].float(), scale_factor=2, mode="bilinear")[:, 0] > 0
            for box, mask in zip(found, drawn.numpy(), strict=True):
                truth = instance_mask(self.held_out, index, box)
                rows.setdefault(box.label, []).append(intersection_over_union(mask, truth))
        overall = float(np.mean([value for values in rows.values() for value in values]))
        return {"iou": overall} | {f"iou_{label}": float(np.mean(values)) for label, values in sorted(rows.items())}

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes model and image processor."""
        assert isinstance(module, SegmentTrainer)
        module.segmenter.save_pretrained(folder)
        edge, square = {"longest_edge": _SIDE_PX}, {"height": _SIDE_PX, "width": _SIDE_PX}
        mask_size = {"longest_edge": _MASK_PX}
        mask_pad = {"height": _MASK_PX, "width": _MASK_PX}
        SamImageProcessorPil(size=edge, pad_size=square, mask_size=mask_size, mask_pad_size=mask_pad).save_pretrained(
            folder
        )


def instance_mask(scenes: SceneSet, index: int, box: LabelledBox) -> NDArray[np.bool_]:
    """Returns the silhouette of one instance, bool (256, 256): its label's parts within its box."""
    parts = scenes.take("parts", np.array([index]))[0].astype(np.uint8)
    mask = label_mask(scenes.spec(index), parts, box.label)
    window = np.zeros_like(mask)
    window[box.top : box.bottom, box.left : box.right] = True
    return mask & window
