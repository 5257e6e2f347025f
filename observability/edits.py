"""Series and spans of edits: which stage took how long, what the router chose, what the caches spared."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram

from composition.decision import Decision
from composition.ports.observation import EditObserver
from observability.tracing import span

STAGE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0)


class EditMetrics(EditObserver):
    """What one process's edits did; its spans lie in that of the job's attempt."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._stages = Histogram(
            "composition_stage_duration_seconds",
            "Time of one stage of one edit (load, route, detect, mask, condition, diffuse, blend, encode), and of parts"
            " of stages (analyze, pose, depth, refine).",
            ("stage",),
            buckets=STAGE_SECONDS,
            registry=registry,
        )
        self._decisions = Counter(
            "composition_router_decisions_total",
            "Edits and analyses by the router's rule and the pipeline that it chose.",
            ("rule", "pipeline"),
            registry=registry,
        )
        self._lookups = Counter(
            "composition_cache_lookups_total",
            "Questions to a cache, by what came of it (hit, miss).",
            ("cache", "outcome"),
            registry=registry,
        )

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time it, also when it fails, and make it a span."""
        began = time.perf_counter()
        try:
            with span(name):
                yield
        finally:
            self._stages.labels(name).observe(time.perf_counter() - began)

    def decided(self, decision: Decision) -> None:
        self._decisions.labels(decision.rule, decision.pipeline.value).inc()

    def looked_up(self, cache: str, *, hit: bool) -> None:
        self._lookups.labels(cache, "hit" if hit else "miss").inc()
