"""SAM: the silhouette of what is in a box or under clicks.

A single click may mean a thing or a part of it (a wheel, its car): three masks are drawn, and only the best of them is
taught, so that they come to mean different things; beside each stands how well it is thought to fit (Kirillov et al.
2023, arXiv:2304.02643, section 3). A box, or several clicks, leave no doubt: one mask.
"""

from collections.abc import Mapping, Sequence
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
from demo_models.recipes.shards import SceneSet, front_noun
from demo_models.recipes.training import Settings
from demo_models.recipes.workdir import start_folder
from demo_models.world.scenes import LabelledBox
from demo_models.world.scoring import intersection_over_union

_SIDE_PX: Final = 256
_MASK_PX: Final = 128
_BOXES_PER_IMAGE: Final = 3
_SETTINGS: Final = Settings(minutes=60, batch=4, learning_rate=8e-4, ema_decay=0.995)
_BOX: Final = "box"
_CLICK: Final = "click"
_CLICKS: Final = "clicks"
_BOX_AND_CLICK: Final = "box and click"
_PROMPT_SHARES: Final[Mapping[str, float]] = {_BOX: 0.5, _CLICK: 0.2, _CLICKS: 0.2, _BOX_AND_CLICK: 0.1}
"""Of steps: how the instance is pointed at."""
_MOST_CLICKS: Final = 4
_HIDDEN_SHARE: Final = 0.5
"""Of the examples, where there are such scenes: something stands before the subject. It takes the longest to tell two
things apart that lie over each other."""
_WHOLE_WEIGHT: Final = 3.0
"""How much likelier a thing is asked for than one of its parts (its wheels), of which there are many."""
_SOLID: Final = 127
_SCORED_SCENES: Final = 100
_CLICK_NEAR: Final = 0.25
"""How far beside an instance a click says that it is not meant, as a share of the longer side of its box."""


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

    def forward(
        self,
        pixel_values: Tensor,
        masks: Tensor,
        boxes: Tensor | None = None,
        points: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Returns the losses.

        Args:
            pixel_values: Normalised images, float32 (B, 3, 256, 256).
            masks: Silhouettes (B, N, 128, 128) in 0..1.
            boxes: Corners (B, N, 4) in pixels; None when clicks alone point at the instances.
            points: Clicks (B, N, P, 2) in pixels; None without.
            labels: Of the clicks, long (B, N, P): 1 on the instance, 0 beside it.
        """
        single_click = boxes is None and points is not None and points.shape[2] == 1
        out = self.segmenter(
            pixel_values=pixel_values,
            input_boxes=boxes,
            input_points=points,
            input_labels=labels,
            multimask_output=single_click,
        )
        logits, wanted = out.pred_masks.float(), masks[:, :, None]
        cross = functional.binary_cross_entropy_with_logits(logits, wanted.expand_as(logits), reduction="none")
        cross = cross.mean((-1, -2))
        probability = logits.sigmoid()
        shared = (probability * wanted).sum((-1, -2))
        dice = 1 - (2 * shared + 1) / (probability.sum((-1, -2)) + wanted.sum((-1, -2)) + 1)
        drawn = (5 * cross + dice).min(dim=-1).values.mean()
        with torch.no_grad():
            inside, truth = logits > 0, wanted > 0.5
            union = (inside | truth).sum((-1, -2)).clamp(min=1)
            reached = (inside & truth).sum((-1, -2)) / union
        judged = functional.mse_loss(out.iou_scores.float(), reached)
        return {"loss": drawn + 0.1 * judged, ("click" if single_click else "sure"): drawn, "judged": judged}


@dataclass(frozen=True, kw_only=True)
class SegmentRecipe:
    """Trains SAM on the silhouettes of scenes, pointed at with boxes and clicks."""

    scenes: SceneSet
    held_out: SceneSet
    name: str = "sam"
    settings: Settings = _SETTINGS

    def build(self) -> nn.Module:
        """Returns the module to train."""
        return SegmentTrainer(start_folder(self.name))

    def batch(self, rng: np.random.Generator) -> Mapping[str, Any]:
        """Draws how a step points at things, scenes, mirrors half of them, and shakes boxes as a detector would."""
        kind = str(rng.choice([*_PROMPT_SHARES], p=[*_PROMPT_SHARES.values()]))
        count = int(rng.integers(2, _MOST_CLICKS + 1)) if kind == _CLICKS else 1
        images: list[NDArray[np.uint8]] = []
        rows: dict[str, list[NDArray[Any]]] = {"boxes": [], "points": [], "labels": []}
        masks = []
        while len(images) < self.settings.batch:
            index = self._draw_scene(rng)
            image = self.scenes.take("images", np.array([index]))[0].astype(np.uint8)
            chosen = _draw_boxes(self.scenes, index, rng)
            shapes = np.stack([instance_mask(self.scenes, index, box) for box in chosen])
            if not all(shape.any() for shape in shapes):
                continue
            corners = _shaken(chosen, rng)
            if rng.random() < 0.5:
                image, shapes = image[:, ::-1], shapes[:, :, ::-1]
                corners[:, [0, 2]] = _SIDE_PX - corners[:, [2, 0]]
            images.append(image)
            clicks = [clicks_on(shape, count, rng) for shape in shapes]
            rows["boxes"].append(corners.astype(np.float32))
            rows["points"].append(np.stack([points for points, _ in clicks]))
            rows["labels"].append(np.stack([labels for _, labels in clicks]))
            masks.append(functional.avg_pool2d(torch.from_numpy(shapes.astype(np.float32)), _SIDE_PX // _MASK_PX))
        prompts = {name: torch.from_numpy(np.stack(row)) for name, row in rows.items()}
        unused = {_BOX: ("points", "labels"), _BOX_AND_CLICK: ()}.get(kind, ("boxes",))
        return {
            "pixel_values": normalised(np.stack(images)),
            "masks": torch.stack(masks),
            **{name: prompt for name, prompt in prompts.items() if name not in unused},
        }

    def _draw_scene(self, rng: np.random.Generator) -> int:
        hidden = self.scenes.hidden
        if len(hidden) and rng.random() < _HIDDEN_SHARE:
            return int(rng.choice(hidden))
        return int(rng.integers(0, len(self.scenes)))

    def score(self, module: nn.Module) -> Mapping[str, float]:
        """Mean IoU of held-out silhouettes from their true boxes, per label and over all; and from clicks.

        What a click means is open: of the instances that it lies on, the one that is drawn best counts (`iou_click`).
        Two clicks on an instance and one beside it mean that instance alone (`iou_clicks`).
        """
        assert isinstance(module, SegmentTrainer)
        rows: dict[str, list[float]] = {}
        click: list[float] = []
        clicks: list[float] = []
        for index in range(_SCORED_SCENES):
            found = self.held_out.boxes(index)
            truths = [instance_mask(self.held_out, index, box) for box in found]
            pixels = normalised(self.held_out.take("images", np.array([index])).astype(np.uint8))
            corners = torch.tensor([[[b.left, b.top, b.right, b.bottom] for b in found]], dtype=torch.float32)
            for box, truth, drawn in zip(found, truths, _drawn(module, pixels, boxes=corners), strict=True):
                rows.setdefault(box.label, []).append(intersection_over_union(drawn, truth))
            rng = np.random.default_rng([11, index])
            seen = [truth for truth in truths if truth.any()]
            for count, scores in ((1, click), (3, clicks)):
                pointed = [clicks_on(truth, count, rng) for truth in seen]
                points = torch.from_numpy(np.stack([points for points, _ in pointed]))[None]
                labels = torch.from_numpy(np.stack([labels for _, labels in pointed]))[None]
                for truth, drawn, (places, _) in zip(
                    seen, _drawn(module, pixels, points=points, labels=labels), pointed, strict=True
                ):
                    x, y = places[0].astype(int)
                    meant = [other for other in seen if other[y, x]] if count == 1 else [truth]
                    scores.append(max(intersection_over_union(drawn, other) for other in meant))
        overall = float(np.mean([value for values in rows.values() for value in values]))
        labelled = {f"iou_{label}": float(np.mean(values)) for label, values in sorted(rows.items())}
        return {"iou": overall, "iou_click": float(np.mean(click)), "iou_clicks": float(np.mean(clicks)), **labelled}

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


def _draw_boxes(scenes: SceneSet, index: int, rng: np.random.Generator) -> list[LabelledBox]:
    """Draws what is asked for in a scene, the things more often than their parts."""
    found, spec = scenes.boxes(index), scenes.spec(index)
    wholes = (spec.subject.noun, front_noun(spec))
    weights = np.array([_WHOLE_WEIGHT if box.label in wholes else 1.0 for box in found])
    return [found[int(number)] for number in rng.choice(len(found), _BOXES_PER_IMAGE, p=weights / weights.sum())]


def _shaken(boxes: Sequence[LabelledBox], rng: np.random.Generator) -> NDArray[np.float64]:
    """Corners (N, 4) in pixels, as far from the true ones as a detector's are."""
    corners = np.array([[box.left, box.top, box.right, box.bottom] for box in boxes], dtype=np.float64)
    size = np.tile(corners[:, 2:] - corners[:, :2], 2)
    return np.clip(corners + rng.normal(0, 0.04, corners.shape) * size, 0, _SIDE_PX)


def clicks_on(
    shape: NDArray[np.bool_], count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draws clicks that mean a silhouette: the first lies on it, of several the last lies beside it.

    Args:
        shape: Bool (256, 256), not empty.
        count: Of clicks, from 1.
        rng: Draws them.

    Returns:
        x and y in pixels, float32 (count, 2), and labels, long (count,): 1 on the silhouette, 0 beside it.
    """
    on_y, on_x = np.nonzero(shape)
    taken = rng.integers(0, len(on_x), count)
    points = np.stack([on_x[taken], on_y[taken]], axis=1) + 0.5
    labels = np.ones(count, np.int64)
    reach = 1 + int(_CLICK_NEAR * max(np.ptp(on_x), np.ptp(on_y)))
    top, left = max(on_y.min() - reach, 0), max(on_x.min() - reach, 0)
    beside = ~shape[top : on_y.max() + reach + 1, left : on_x.max() + reach + 1]
    if count > 1 and beside.any():
        off_y, off_x = np.nonzero(beside)
        other = int(rng.integers(0, len(off_x)))
        points[-1], labels[-1] = (left + off_x[other] + 0.5, top + off_y[other] + 0.5), 0
    return points.astype(np.float32), labels


def _drawn(module: SegmentTrainer, pixels: Tensor, **prompts: Tensor) -> NDArray[np.bool_]:
    """The mask of each prompt, bool (N, 256, 256); of several the one that the network thinks best of."""
    names = {"boxes": "input_boxes", "points": "input_points", "labels": "input_labels"}
    single_click = "boxes" not in prompts and prompts["points"].shape[2] == 1
    asked = {names[name]: prompt for name, prompt in prompts.items()}
    out = module.segmenter(pixel_values=pixels, multimask_output=single_click, **asked)
    best = out.iou_scores[0].argmax(dim=-1)
    chosen = out.pred_masks[0, torch.arange(len(best)), best][:, None].float()
    drawn: NDArray[np.bool_] = (functional.interpolate(chosen, scale_factor=2, mode="bilinear")[:, 0] > 0).numpy()
    return drawn


def instance_mask(scenes: SceneSet, index: int, box: LabelledBox) -> NDArray[np.bool_]:
    """Returns the silhouette of one instance, bool (256, 256): what is seen of its label's parts within its box."""
    spec = scenes.spec(index)
    if box.label in spec.subject.LABELS:
        mask = label_mask(spec, scenes.take("parts", np.array([index]))[0].astype(np.uint8), box.label)
    else:
        mask = scenes.take("fronts", np.array([index]))[0] > _SOLID
    window = np.zeros_like(mask)
    window[box.top : box.bottom, box.left : box.right] = True
    return mask & window
