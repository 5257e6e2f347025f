"""A diffuser that paints the masked pixels in one colour, and remembers what it was asked."""

from __future__ import annotations

import asyncio

import numpy as np

from composition.diffusion import DiffusionProgress, DiffusionResult


class FakeDiffuser:
    """Paints `color` where the mask is white; with `shift` it also shifts all pixels, as a VAE does.

    `error` is raised after the first step; `gate` (an asyncio.Event) is awaited before the result, `waiting` tells
    that it is.
    """

    def __init__(self, *, color=(10, 200, 30), shift=0, error=None, gate=None):
        self.color, self.shift, self.error, self.gate = color, shift, error, gate
        self.requests = []
        self.waiting = asyncio.Event()
        self.closed_early = 0

    async def diffuse(self, request):
        self.requests.append(request)
        finished = False
        try:
            for step in range(1, request.num_inference_steps + 1):
                yield DiffusionProgress(step=step, total=request.num_inference_steps)
                if self.error is not None:
                    raise self.error
            if self.gate is not None:
                self.waiting.set()
                await self.gate.wait()
            image = request.image.astype(np.int16) + self.shift
            image[request.mask > 0] = self.color
            names = ["sd-inpainting", *(["ip-adapter"] if request.references else [])]
            names += [f"controlnet-{kind}" for kind in request.controls]
            finished = True
            yield DiffusionResult(image=image.clip(0, 255).astype(np.uint8), models_used=tuple(names))
        finally:
            self.closed_early += not finished
