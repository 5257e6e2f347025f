"""Series of the HTTP edge."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from composition.jobs import JobStatus
from observability.series import render

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HttpMetrics:
    """What the edge has seen; labels have few values (route templates, known methods)."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._registry = CollectorRegistry() if registry is None else registry
        self._requests = Counter(
            "composition_http_requests_total",
            "Answered requests; status 0 is one whose client left before an answer.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._durations = Histogram(
            "composition_http_request_duration_seconds",
            "Time from the request's first byte to the answer's last.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._open = Gauge(
            "composition_http_requests_in_progress",
            "Requests that are being answered.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._jobs = Gauge(
            "composition_jobs",
            "Jobs in the store by status, while they are kept. NaN while the store is away.",
            ("status",),
            registry=self._registry,
            multiprocess_mode="livemostrecent",
        )
        self._queue_age = Gauge(
            "composition_queue_age_seconds",
            "Seconds since the oldest job that could start was accepted; 0 without one, NaN while the store is away.",
            registry=self._registry,
            multiprocess_mode="livemostrecent",
        )

    @contextmanager
    def in_progress(self) -> Iterator[None]:
        self._open.inc()
        try:
            yield
        finally:
            self._open.dec()

    def observe(self, *, method: str, route: str, status: int, duration_s: float) -> None:
        """Count one answered request; status 0 is one whose client left before an answer."""
        label = method if method in _METHODS else "other"
        self._requests.labels(label, route, str(status)).inc()
        self._durations.labels(label, route).observe(duration_s)

    def set_jobs(self, counts: Mapping[JobStatus, int], *, oldest_wait_s: float) -> None:
        for status in JobStatus:
            self._jobs.labels(status.value).set(counts.get(status, 0))
        self._queue_age.set(oldest_wait_s)

    def forget_jobs(self) -> None:
        """The store does not answer: what it said last is true no more, and no jobs would be a lie."""
        for status in JobStatus:
            self._jobs.labels(status.value).set(math.nan)
        self._queue_age.set(math.nan)

    def render(self) -> bytes:
        """The text of /metrics; not for an event loop."""
        return render(self._registry)
