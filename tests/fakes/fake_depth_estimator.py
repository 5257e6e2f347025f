"""A depth estimator that sees what it is told, else a ramp: black on the left, white on the right."""

from __future__ import annotations

import numpy as np


class FakeDepthEstimator:
    def __init__(self, depth=None):
        self.depth = depth
        self.calls = 0

    async def estimate_depth(self, image):
        self.calls += 1
        if self.depth is not None:
            return self.depth
        height, width = image.shape[:2]
        return np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))
