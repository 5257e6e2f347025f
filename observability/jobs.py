"""Series and spans of jobs: how long they waited, what became of their attempts, whether callbacks were reached."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from composition.jobs import Job
from composition.ports.observation import JobObserver
from observability.tracing import continued, past_span

_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0)


class JobMetrics(JobObserver):
    """Of the process that runs jobs: the front with the embedded queue, else a worker.

    Args:
        registry: where the series are kept.
        concurrency: attempts that this process runs at a time at most.
        wall: seconds since the epoch. What it says shows in series and spans and decides nothing.
    """

    def __init__(self, registry: CollectorRegistry, *, concurrency: int, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._waits = Histogram(
            "composition_job_wait_seconds",
            "Time from a job's acceptance to its first attempt's start, by priority (interactive: somebody waits).",
            ("priority",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._attempts = Counter(
            "composition_job_attempts_total",
            "Ended attempts by kind of job, outcome (completed, failed, retried, interrupted, handed_back, cancelled,"
            " lost) and the error's code (none: empty). Refusals of the safety checker have CONTENT_POLICY.",
            ("kind", "outcome", "code"),
            registry=registry,
        )
        self._durations = Histogram(
            "composition_job_attempt_duration_seconds",
            "Time from a job's claim to the attempt's outcome, by kind of job.",
            ("kind",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._running = Gauge(
            "composition_job_attempts_running",
            "Attempts in progress.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._places = Gauge(
            "composition_job_places",
            "Attempts that can be in progress at a time (limits.max_concurrent_requests).",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._places.set(concurrency)

    @contextmanager
    def attempt(self, job: Job) -> Iterator[None]:
        """Its span continues that of the request which submitted the job; the wait in the queue is one beside it."""
        waited_s = max(0.0, self._wall() - job.created_at)
        if job.attempt <= 1:
            self._waits.labels(job.priority.name.lower()).observe(waited_s)
        past_span("queue", parent=job.traceparent, seconds=waited_s)
        self._running.inc()
        try:
            with continued(
                job.traceparent,
                "attempt",
                attributes={"job.id": job.id, "job.kind": job.kind.value, "attempt": job.attempt},
            ):
                yield
        finally:
            self._running.dec()

    def attempt_ended(self, job: Job, *, outcome: str, code: str = "", seconds: float) -> None:
        self._attempts.labels(job.kind.value, outcome, code).inc()
        self._durations.labels(job.kind.value).observe(seconds)


class WebhookMetrics:
    """Of every process that sends callbacks: the front, or each API node."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "composition_webhooks_total",
            "Calls of callback URLs by what came of it (delivered, postponed, given_up).",
            ("outcome",),
            registry=registry,
        )

    def __call__(self, outcome: str) -> None:
        self._calls.labels(outcome).inc()
