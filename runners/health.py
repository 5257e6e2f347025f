"""What /health says: which models the runners hold, and how much GPU memory is left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from composition.errors import CompositionError

STATE_TIMEOUT_S = 5.0


AskState = Callable[[], Awaitable[Mapping[str, Any]]]
"""Asks one runner: models_loaded, and where it knows them ready, gpu_available and gpu_memory_free_mb."""


class RunnersHealth:
    """`composition.ports.ModelHealth` over all runners: ready when every one of them answers and is.

    Args:
        runners: by name.
        restarts: how often a runner was started again, by its name.
        last_failure: what kept it from starting, if it did not the last time.
    """

    def __init__(
        self,
        runners: Mapping[str, AskState],
        *,
        restarts: Callable[[str], int],
        last_failure: Callable[[str], str | None],
    ) -> None:
        self._runners = runners
        self._restarts = restarts
        self._last_failure = last_failure

    async def health(self) -> Mapping[str, object]:
        """See the port; a runner that is away or slow counts as not loaded.

        Beside the port's keys `runners`: by name whether it is ready, how often it was started again, and while it
        is away what kept it from starting (an exception's class, or that it was killed), if anything did.
        """
        states = await asyncio.gather(*(self._ask(runner) for runner in self._runners.values()))
        reports = {name: self._report(name, state) for name, state in zip(self._runners, states, strict=True)}
        answered = [state for state in states if state is not None]
        loaded: list[str] = []
        for state in answered:
            loaded += [name for name in state["models_loaded"] if name not in loaded]
        return {
            "ready": all(report["ready"] for report in reports.values()),
            "runners": reports,
            "models_loaded": loaded,
            "gpu_available": any(state.get("gpu_available", False) for state in answered),
            "gpu_memory_free_mb": max((state.get("gpu_memory_free_mb", 0) for state in answered), default=0),
        }

    def _report(self, name: str, state: Mapping[str, Any] | None) -> Mapping[str, object]:
        failure = self._last_failure(name) if state is None else None
        ready = state is not None and state.get("ready", True)
        return {"ready": ready, "restarts": self._restarts(name), "failure": failure}

    async def _ask(self, state: AskState) -> Mapping[str, Any] | None:
        try:
            async with asyncio.timeout(STATE_TIMEOUT_S):
                return await state()
        except (CompositionError, TimeoutError):
            return None
