"""The engine's counters as series for Prometheus."""

from __future__ import annotations

from observability.models import DiffusionMetrics
from runners.diffusion.engine.counters import Counters


class MeasuredCounters(Counters):
    """Tells the metrics of every count and step."""

    def __init__(self, metrics: DiffusionMetrics) -> None:
        super().__init__()
        self._metrics = metrics

    def add(self, name: str, amount: int = 1) -> None:
        super().add(name, amount)
        self._metrics.counted(name, amount)

    def stepped(self, *, requests: int, rows: int, seconds: float) -> None:
        self._metrics.stepped(requests=requests, rows=rows, seconds=seconds)
