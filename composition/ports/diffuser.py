from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Protocol

from composition.diffusion import DiffusionProgress, DiffusionRequest, DiffusionResult


class Diffuser(Protocol):
    """The diffusion model behind its runner."""

    def diffuse(self, request: DiffusionRequest) -> AsyncGenerator[DiffusionProgress | DiffusionResult, None]:
        """Progress events, then exactly one result. Closing the iterator cancels the request at the next step."""
        ...


class ModelHealth(Protocol):
    """Whether the models behind the runners are loaded, for /health."""

    async def health(self) -> Mapping[str, object]:
        """Keys: ready (bool), models_loaded (list of names), gpu_available (bool), gpu_memory_free_mb (int)."""
        ...
