"""Arithmetic on boxes, as every detector here needs it after its forward."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from composition.images import Box, Detection

Boxes = npt.NDArray[np.float32]
"""float32 (N, 4): x0, y0, x1, y1 in pixels."""


def clip_boxes(boxes: Boxes, height: int, width: int) -> Boxes:
    """The part of each box inside an image of `height` x `width` pixels."""
    limits = np.array([width, height, width, height], dtype=np.float32)
    clipped: Boxes = np.clip(boxes, 0, limits).astype(np.float32)
    return clipped


def has_area(boxes: Boxes) -> npt.NDArray[np.bool_]:
    """Which boxes cover at least a pixel's worth of image in both directions."""
    result: npt.NDArray[np.bool_] = (boxes[:, 2] - boxes[:, 0] >= 1) & (boxes[:, 3] - boxes[:, 1] >= 1)
    return result


def suppress(boxes: Boxes, scores: npt.NDArray[np.float32], threshold: float) -> list[int]:
    """Greedy non-maximum suppression: the indices of the boxes kept, best first; equal scores keep their order.

    Of boxes (N, 4) with scores (N,) one is dropped when its intersection over union with a better one exceeds the
    threshold.
    """
    order = np.argsort(-scores, kind="stable")
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    kept: list[int] = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        top_left = np.maximum(boxes[best, :2], boxes[rest, :2])
        bottom_right = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        common = np.prod(np.maximum(bottom_right - top_left, 0), axis=1)
        union = areas[best] + areas[rest] - common
        overlap = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
        order = rest[overlap <= threshold]
    return kept


def best_per_label(
    boxes: Boxes,
    scores: npt.NDArray[np.float32],
    labels: npt.NDArray[np.intp],
    names: Sequence[str],
    threshold: float,
) -> tuple[Detection, ...]:
    """What `suppress` keeps among the boxes of each label, an index of `names`; the best of all first."""
    kept = [
        members[index]
        for label in np.unique(labels)
        for members in [np.flatnonzero(labels == label)]
        for index in suppress(boxes[members], scores[members], threshold)
    ]
    kept.sort(key=lambda index: -float(scores[index]))
    return tuple(
        Detection(label=names[labels[index]], score=float(scores[index]), box=to_box(boxes[index])) for index in kept
    )


def to_box(row: npt.NDArray[np.float32]) -> Box:
    """One row (x0, y0, x1, y1) as the domain's value."""
    x0, y0, x1, y1 = (float(value) for value in row)
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)
