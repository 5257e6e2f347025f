from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from observability.tracing import start_tracing, stop_tracing


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What this process traces, and stops to afterwards."""
    kept = InMemorySpanExporter()
    start_tracing([SimpleSpanProcessor(kept)], "front")
    yield kept
    stop_tracing()
