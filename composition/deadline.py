"""The moment by which an attempt at a job has to end, and what is left of it for a model in another process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

RUNNER_LEAD_S = 0.1
"""So much earlier than we a runner ends what we asked of it, so that nothing runs on that nobody awaits."""


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """`at` is a moment of `clock` (seconds, monotonic)."""

    at: float
    clock: Callable[[], float]

    @classmethod
    def after(cls, limit_s: float, *, clock: Callable[[], float] = time.monotonic) -> Deadline:
        return cls(at=clock() + limit_s, clock=clock)

    def left_for_runner_s(self) -> float:
        """What a runner that is asked now may take; 0 when it is too late."""
        return max(0.0, self.at - self.clock() - RUNNER_LEAD_S)
