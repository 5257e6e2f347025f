"""What /health says: which models the runners hold, and how much GPU memory is left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from composition.errors import CompositionError

STATE_TIMEOUT_S = 5.0


AskState = Callable[[], Awaitable[Mapping[str, Any]]]
"""Asks one runner: models_loaded, and where it knows them ready, gpu_available and gpu_memory_free_mb."""


class RunnersHealth:
    """`composition.ports.ModelHealth` over all runners: ready when every one of them answers and is."""

    def __init__(self, runners: Sequence[AskState]) -> None:
        self._runners = runners

    async def health(self) -> Mapping[str, object]:
        """See the port; a runner that is away or slow counts as not loaded."""
        states = await asyncio.gather(*(self._ask(runner) for runner in self._runners))
        answered = [state for state in states if state is not None]
        loaded: list[str] = []
        for state in answered:
            loaded += [name for name in state["models_loaded"] if name not in loaded]
        return {
            "ready": len(answered) == len(states) and all(state.get("ready", True) for state in answered),
            "models_loaded": loaded,
            "gpu_available": any(state.get("gpu_available", False) for state in answered),
            "gpu_memory_free_mb": max((state.get("gpu_memory_free_mb", 0) for state in answered), default=0),
        }

    async def _ask(self, state: AskState) -> Mapping[str, Any] | None:
        try:
            async with asyncio.timeout(STATE_TIMEOUT_S):
                return await state()
        except (CompositionError, TimeoutError):
            return None
