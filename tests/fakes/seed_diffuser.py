"""A diffuser whose image depends on the seed alone, so that candidates can be told apart."""

from __future__ import annotations

import asyncio

import numpy as np

from composition.diffusion import DiffusionProgress, DiffusionResult
from composition.errors import ContentPolicy


class SeedDiffuser:
    """Paints noise of the request's seed; remembers what it was asked and how many it had at a time."""

    def __init__(self, *, fails_at=None, gate=None):
        self.requests, self.running, self.most, self.closed_early = [], 0, 0, 0
        self.fails_at, self.gate = fails_at, gate
        self.started = asyncio.Event()

    async def diffuse(self, request):
        self.requests.append(request)
        self.running += 1
        self.most = max(self.most, self.running)
        finished = False
        try:
            for step in range(1, 5):
                await asyncio.sleep(0)
                yield DiffusionProgress(step=step, total=4, preview=np.full((2, 2, 3), request.seed, np.uint8))
            if request.seed == self.fails_at:
                raise ContentPolicy("withheld")
            if self.gate is not None:
                self.started.set()
                await self.gate.wait()
            image = np.random.default_rng(request.seed).integers(0, 256, request.image.shape, dtype=np.uint8)
            finished = True
            yield DiffusionResult(image=image, models_used=("sd-inpainting",), cache={"vae_moments": "hit"})
        finally:
            self.running -= 1
            self.closed_early += not finished
