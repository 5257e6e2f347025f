"""What a worker's metrics and spans say of attempts, from the attempts themselves."""

from __future__ import annotations

import pytest

from composition.errors import ContentPolicy, ModelError, NotReady
from jobs.blobs.memory_blobs import MemoryBlobStore
from jobs.stores.memory_store import MemoryJobStore
from jobs.worker.attempt import Attempt, AttemptSettings, Interruption
from observability.jobs import JobMetrics
from tests.fakes.fake_job_handler import FakeJobHandler
from tests.unit.jobs.job_samples import ManualClock, sample_job

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Bench:
    def __init__(self, registry) -> None:
        self.clock, self.blobs = ManualClock(), MemoryBlobStore()
        self.store = MemoryJobStore(clock=self.clock, monotonic=self.clock.monotonic)
        self.handler = FakeJobHandler(self.blobs)
        self.registry = registry
        self.metrics = JobMetrics(registry, concurrency=3, wall=self.clock)

    async def attempt(self, *, waited_s: float = 0.0, interrupt: Interruption | None = None, **job) -> None:
        await self.store.add(sample_job(**job))
        self.clock.advance(waited_s)
        claim = await self.store.claim(worker_id="w", lease_s=15.0)
        assert claim is not None
        attempt = Attempt(
            claim, store=self.store, blobs=self.blobs, handler=self.handler, settings=AttemptSettings(),
            on_change=lambda job_id: None, observer=self.metrics,
        )  # fmt: skip
        if interrupt is not None:
            attempt.interrupt(interrupt)
        await attempt.run()

    def count(self, outcome: str, code: str = "") -> float | None:
        labels = {"kind": "edit", "outcome": outcome, "code": code}
        return self.registry.get_sample_value("composition_job_attempts_total", labels)


@pytest.fixture
def bench(registry) -> Bench:
    return Bench(registry)


async def test_every_outcome_has_its_name(bench: Bench):
    await bench.attempt(prompt="fine")
    for prompt, error in (("nude", ContentPolicy("no")), ("broken", ModelError("no")), ("away", NotReady("no"))):
        bench.handler.errors[prompt] = [error]
        await bench.attempt(prompt=prompt, max_attempts=3)
        for job in (await bench.store.list(owner="anonymous", status=None, limit=9, cursor=None)).jobs:
            await bench.store.cancel(job.id)
    bench.handler.errors["broken"] = [ModelError("no")]
    await bench.attempt(prompt="broken", max_attempts=1)
    await bench.attempt(prompt="stopped", interrupt=Interruption.NOT_OURS)
    await bench.attempt(prompt="stopped", interrupt=Interruption.SHUTDOWN)
    assert bench.count("completed") == 1
    assert bench.count("failed", "CONTENT_POLICY") == 1
    assert bench.count("retried", "MODEL_ERROR") == 1
    assert bench.count("interrupted", "NOT_READY") == 1
    assert bench.count("failed", "MODEL_ERROR") == 1
    assert bench.count("cancelled") == 1
    assert bench.count("handed_back") == 1
    assert bench.registry.get_sample_value("composition_job_attempts_running") == 0
    assert bench.registry.get_sample_value("composition_job_places") == 3


async def test_the_wait_is_told_by_priority_and_never_below_zero(bench: Bench):
    await bench.attempt(waited_s=7.0)
    await bench.attempt(waited_s=-100.0, interactive=True)
    value = bench.registry.get_sample_value
    assert value("composition_job_wait_seconds_sum", {"priority": "batch"}) == 7.0
    assert value("composition_job_wait_seconds_sum", {"priority": "interactive"}) == 0.0


async def test_an_attempt_goes_on_with_the_trace_that_the_job_was_submitted_in(bench: Bench, spans):
    await bench.attempt(waited_s=2.0, prompt="a secret", traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    queue, attempt = spans.get_finished_spans()
    assert (queue.name, attempt.name) == ("queue", "attempt")
    for span in (queue, attempt):
        assert f"{span.context.trace_id:032x}" == TRACE
        assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
        assert "secret" not in span.to_json()
    assert (queue.end_time - queue.start_time) / 1e9 == pytest.approx(2.0)


async def test_a_bad_traceparent_begins_a_trace_of_its_own(bench: Bench, spans):
    await bench.attempt(traceparent="00-zz-no")
    assert spans.get_finished_spans()[-1].parent is None
