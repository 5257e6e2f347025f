"""A YOLOX network whose output is planted: the inverse of the decoding, from boxes on the 640 x 640 canvas."""

from __future__ import annotations

import numpy as np

from runners.analyzer.labels import COCO_LABELS
from runners.network import Tensor


class PlantedYolox:
    """Reports the same `things` for every image: (label, probability, x0, y0, x1, y1 on the canvas)."""

    def __init__(self, *things, fixed_batch=1, stride=32, objectness=1.0):
        self.fixed_batch = fixed_batch
        self.batches = []
        self._rows = np.zeros((8400, 85), np.float32)
        first, side = {8: (0, 80), 16: (6400, 40), 32: (8000, 20)}[stride]
        for number, (label, probability, x0, y0, x1, y1) in enumerate(things):
            # A cell per thing, not the one under its centre: offsets may reach anywhere, and cells must differ.
            cell = number
            row = self._rows[first + cell]
            row[0] = (x0 + x1) / 2 / stride - cell % side
            row[1] = (y0 + y1) / 2 / stride - cell // side
            row[2:4] = np.log(max(x1 - x0, 1e-3) / stride), np.log(max(y1 - y0, 1e-3) / stride)
            row[4] = objectness
            row[5 + COCO_LABELS.index(label)] = probability

    def __call__(self, batch: Tensor) -> tuple[Tensor, ...]:
        self.batches.append(batch)
        return (np.repeat(self._rows[None], len(batch), axis=0),)
