"""A front service over the runner, as the product's is: served by the tests that need two processes."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import Any

import bentoml

from composition.diffusion import DiffusionProgress, DiffusionResult
from composition.errors import CompositionError
from runners.diffusion.transport.client import DiffusionClient
from runners.diffusion.transport.events import request_from_frame
from runners.diffusion.transport.frames import decode_single
from runners.diffusion.transport.service import DiffusionRunner


@bentoml.service(name="diffusion-test-front", traffic={"timeout": 60}, metrics={"enabled": False})
class Front:
    diffusion = bentoml.depends(DiffusionRunner)

    def __init__(self) -> None:
        self._client = DiffusionClient(self.diffusion)

    @bentoml.api
    async def diffuse(self, frame: str, stop_after: int = -1) -> Mapping[str, Any]:
        """Run a base64 request; with `stop_after` walk away after that many steps."""
        request = request_from_frame(decode_single(base64.b64decode(frame)))
        stream = self._client.diffuse(request)
        steps: list[int] = []
        try:
            async for event in stream:
                if isinstance(event, DiffusionProgress):
                    steps.append(event.step)
                    if event.step == stop_after:
                        await stream.aclose()
                        return {"steps": steps, "left": True}
                elif isinstance(event, DiffusionResult):
                    image = base64.b64encode(event.image.tobytes()).decode()
                    return {"steps": steps, "models_used": list(event.models_used), "image": image}
        except CompositionError as error:
            return {"steps": steps, "code": error.code, "message": error.message}
        return {"steps": steps}

    @bentoml.api
    async def stats(self) -> Mapping[str, Any]:
        return await self._client.stats()

    @bentoml.api
    async def pid(self) -> int:
        return os.getpid()
