"""A network for `runners.home` that knows bright images."""

import numpy as np


class BrightnessHome:
    fixed_batch = None

    def __init__(self):
        self.batches = []

    def __call__(self, batch):
        self.batches.append(batch)
        return (batch.mean(axis=(1, 2, 3))[:, None].astype(np.float32),)
