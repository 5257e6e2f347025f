"""docs/metrics.md lists every series that any process can have, with its labels and meaning, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from observability.edits import EditMetrics
from observability.http import HttpMetrics
from observability.jobs import JobMetrics, WebhookMetrics
from observability.models import BatchMetrics, DiffusionMetrics
from observability.processes import BuildMetrics, ProcessMetrics

ROOT = Path(__file__).parents[3]
ROW = re.compile(r"^\| `(composition_\w+)` \| (\w+) \| (.*?) \| (.*) \|$", re.MULTILINE)
BOUNDED = {
    "adapter", "cache", "code", "kind", "method", "mode", "network", "outcome", "phase", "pipeline", "priority",
    "process", "profile", "route", "rule", "stage", "status", "version", "work",
}  # fmt: skip
"""Labels whose values are names in the source code; a new one is to be thought about."""


def every_series() -> CollectorRegistry:
    """As if one process were all of them: names that two concerns share would be refused here."""
    registry = CollectorRegistry()
    HttpMetrics(registry)
    EditMetrics(registry)
    JobMetrics(registry, concurrency=1)
    WebhookMetrics(registry)
    DiffusionMetrics(registry)
    BatchMetrics(registry)
    ProcessMetrics(registry, "front")
    BuildMetrics(registry, version="1", profile="tiny")
    return registry


def described(registry: CollectorRegistry) -> list[tuple[str, str, str, str]]:
    rows = []
    for series in set(registry._collector_to_names):
        kind, name = series._type, series._name
        labels = ", ".join(f"`{label}`" for label in series._labelnames)
        rows.append((name + ("_total" if kind == "counter" else ""), kind, labels, series._documentation))
    return sorted(rows)


def test_the_table_has_every_series():
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert sorted(ROW.findall(page)) == described(every_series())


def test_every_label_is_of_a_bounded_kind():
    used = {label for series in every_series()._collector_to_names for label in series._labelnames}
    assert used == BOUNDED
