"""A pose net that looks: every keypoint is the brightest spot of the crop, at the net's half-pixel resolution."""

from __future__ import annotations

import numpy as np

SCORE = 0.75


class SeeingPoseNet:
    def __init__(self, fixed_batch=None):
        self.fixed_batch = fixed_batch
        self.batch_sizes = []

    def __call__(self, batch):
        self.batch_sizes.append(len(batch))
        assert batch.shape[1:] == (3, 384, 288)
        assert batch.dtype == np.float32
        simcc_x, simcc_y = np.zeros((len(batch), 133, 576), np.float32), np.zeros((len(batch), 133, 768), np.float32)
        for row, crop in enumerate(batch):
            weights = np.clip(crop.mean(axis=0) - crop.mean(axis=0).min(), 0, None) ** 4
            if weights.sum() == 0:
                continue
            y, x = (np.average(axis, weights=weights) for axis in np.indices(weights.shape))
            simcc_x[row, :, round(2 * x)] = SCORE
            simcc_y[row, :, round(2 * y)] = SCORE + 0.1
        return simcc_x, simcc_y
