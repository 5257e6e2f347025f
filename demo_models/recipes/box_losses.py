"""Losses on boxes: focal classification, generalised IoU, and which location answers for which object.

Boxes are float tensors (..., 4): centre x, centre y, width, height, as shares of the image.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

_SIZES_OF_LEVELS: Final = ((0.0, 0.2), (0.15, 0.4), (0.3, 0.75), (0.6, 2.0))
"""The longer side of the boxes that each feature level answers for, overlapping, finest level first."""
_LIES_ON_IT: Final = 0.7
"""IoU from which a query answers for an object although another one was matched to it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Targets:
    """What one image holds.

    Attributes:
        boxes: Float (N, 4).
        tokens: Bool (N, T), the tokens of the text that name each box.
    """

    boxes: Tensor
    tokens: Tensor


def corners(boxes: Tensor) -> Tensor:
    """Returns left, top, right, bottom."""
    half = boxes[..., 2:] / 2
    return torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], dim=-1)


def overlap(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the generalised IoU (Rezatofighi et al. 2019) and the IoU of boxes, element by element."""
    one, two = corners(first), corners(second)
    sides = (torch.min(one[..., 2:], two[..., 2:]) - torch.max(one[..., :2], two[..., :2])).clamp(min=0)
    shared = sides.prod(-1)
    union = first[..., 2:].clamp(min=0).prod(-1) + second[..., 2:].clamp(min=0).prod(-1) - shared + 1e-7
    hull = (torch.max(one[..., 2:], two[..., 2:]) - torch.min(one[..., :2], two[..., :2])).prod(-1) + 1e-7
    iou = shared / union
    return iou - (hull - union) / hull, iou


def focal(logits: Tensor, wanted: Tensor, gamma: float = 2.0, alpha: float = 0.15) -> Tensor:
    """Returns the sigmoid focal loss (Lin et al. 2017), element by element."""
    probability = logits.sigmoid()
    right = probability * wanted + (1 - probability) * (1 - wanted)
    weight = alpha * wanted + (1 - alpha) * (1 - wanted)
    return functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * (1 - right) ** gamma * weight


@lru_cache(maxsize=4)
def grid_of(sides: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the centres (L, 2) of all locations of square feature maps, and the box sizes (L,) they answer for."""
    centres, low, high = [], [], []
    for side, (least, most) in zip(sides, _SIZES_OF_LEVELS, strict=True):
        steps = (torch.arange(side) + 0.5) / side
        centres.append(torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=-1).reshape(-1, 2))
        low.append(torch.full((side * side,), least))
        high.append(torch.full((side * side,), most))
    return torch.cat(centres), torch.cat(low), torch.cat(high)


def answering(box: Tensor, sides: tuple[int, ...]) -> Tensor:
    """Returns which locations answer for a box, bool (L,): near its middle on the levels of its size, at least one."""
    centres, low, high = grid_of(sides)
    size = box[2:].max()
    of_level = (size > low) & (size <= high)
    distance = (centres - box[:2]).abs()
    chosen = (distance < box[2:] * 0.3).all(-1) & of_level
    chosen[(distance.sum(-1) + 9.0 * ~of_level).argmin()] = True
    return chosen


def dense_loss(logits: Tensor, boxes: Tensor, targets: list[Targets], valid: Tensor, sides: tuple[int, ...]) -> Tensor:
    """Judges every location of the feature maps.

    Args:
        logits: Float (B, L, T), one score per location and token.
        boxes: Float (B, L, 4).
        targets: What each image holds.
        valid: Bool (B, T), the tokens that are text.
        sides: Side of each square feature map.
    """
    wanted = torch.zeros_like(logits)
    got, truth = [], []
    for row, target in enumerate(targets):
        biggest_first = target.boxes[:, 2:].prod(-1).argsort(descending=True)
        for box, tokens in zip(target.boxes[biggest_first], target.tokens[biggest_first], strict=True):
            chosen = answering(box, sides)
            wanted[row, chosen] = tokens.float()
            got.append(boxes[row, chosen])
            truth.append(box.expand(int(chosen.sum()), 4))
    return _weighed(logits, wanted, valid, got, truth)


def matched_loss(logits: Tensor, boxes: Tensor, targets: list[Targets], valid: Tensor) -> Tensor:
    """Judges queries (B, Q, T) and (B, Q, 4) after matching each object to its cheapest query (Carion et al. 2020).

    Queries that lie on an object already answer for it as well. With one answer per object a query would have to guess
    whether another one speaks, and all would be unsure; duplicates are dropped later (NMS).
    """
    wanted = torch.zeros_like(logits)
    got, truth = [], []
    for row, target in enumerate(targets):
        if not len(target.boxes):
            continue
        with torch.no_grad():
            named = target.tokens.float() / target.tokens.sum(-1, keepdim=True)
            score = logits[row].sigmoid() @ named.T
            apart = torch.cdist(boxes[row], target.boxes, p=1)
            likeness, shared = overlap(boxes[row][:, None], target.boxes[None])
            queries, objects = linear_sum_assignment(torch.nan_to_num(-4 * score + 5 * apart - 2 * likeness).numpy())
            best, closest = shared.max(1)
            closest[queries] = torch.from_numpy(objects)
            on_it = best >= _LIES_ON_IT
            on_it[queries] = True
            queries, objects = on_it.nonzero()[:, 0], closest[on_it]
        wanted[row, queries] = target.tokens[objects].float()
        got.append(boxes[row, queries])
        truth.append(target.boxes[objects])
    return _weighed(logits, wanted, valid, got, truth)


def _weighed(logits: Tensor, wanted: Tensor, valid: Tensor, got: list[Tensor], truth: list[Tensor]) -> Tensor:
    seen = valid[:, None, :].expand_as(logits)
    found = torch.cat(got) if got else torch.zeros(0, 4)
    scores = focal(logits[seen], wanted[seen]).sum() / max(1, len(found))
    if not len(found):
        return 2 * scores
    boxes = torch.cat(truth)
    return 2 * scores + 5 * (found - boxes).abs().sum(-1).mean() + 2 * (1 - overlap(found, boxes)[0]).mean()
