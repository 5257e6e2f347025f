"""The engine's limits."""

from __future__ import annotations

from dataclasses import dataclass

from composition.config import Config


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """Whatever the model family.

    Attributes:
        max_rows: batch rows per forward at most (a guided request takes two); less when memory is short.
        lease_s: a request nobody renews for so long is cancelled.
        timeout_s: the longest a request may take, whatever its own deadline says.
    """

    max_rows: int = 16
    lease_s: float = 15.0
    timeout_s: float = 120.0

    @classmethod
    def from_config(cls, config: Config) -> EngineSettings:
        return cls(
            max_rows=config.generation.rows,
            lease_s=config.queue.lease_s,
            timeout_s=config.limits.request_timeout_seconds,
        )
