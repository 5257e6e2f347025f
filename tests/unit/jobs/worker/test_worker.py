"""What runs a store's jobs: attempts in flight, the grace time, cancel, and what their ends set off."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from composition.jobs import Job, JobResult, JobStatus
from composition.ports.queue import ProgressListener
from jobs.blobs.memory_blobs import MemoryBlobStore
from jobs.protocol.claims import Claim
from jobs.stores.memory_store import MemoryJobStore
from jobs.worker.attempt import AttemptSettings
from jobs.worker.housekeeping import Housekeeping
from jobs.worker.worker import Worker
from tests.fakes.fake_job_handler import FakeJobHandler
from tests.fakes.loop_time import frozen_loop_time
from tests.unit.jobs.job_samples import sample_job

LONG_S = 1e6


class Bench:
    def __init__(self, *, handler: Any = None, monotonic: Any = lambda: 0.0) -> None:
        self.blobs = MemoryBlobStore()
        self.store = MemoryJobStore()
        self.handler = FakeJobHandler(self.blobs, held=True, reports=())
        self.ended: list[str] = []
        self.housekeeping = Housekeeping(
            self.store, self.blobs, result_ttl_s=LONG_S, interval_s=LONG_S, grace_after_outage_s=LONG_S,
            on_ended=lambda job: None,
        )  # fmt: skip
        self.worker = Worker(
            self.store, self.blobs, handler or self.handler, self.housekeeping,
            worker_id="w", settings=AttemptSettings(lease_s=LONG_S), on_change=lambda job_id: None,
            on_ended=self.ended.append, monotonic=monotonic,
        )  # fmt: skip

    async def accepted(self, **fields: Any) -> Job:
        return await self.store.add(sample_job(base_key=await self.blobs.put(b"in"), **fields))

    async def status(self, job: Job) -> tuple[JobStatus, int]:
        stored = await self.store.get(job.id)
        return stored.status, stored.attempt


async def test_nothing_is_started_when_nothing_waits():
    assert await Bench().worker.start_next() is None


async def test_a_started_job_is_in_flight_until_its_outcome_is_written():
    bench = Bench()
    job, other = await bench.accepted(), await bench.accepted()
    run = await bench.worker.start_next()
    assert (bench.worker.running, bench.worker.runs(job.id), bench.worker.runs(other.id)) == (1, True, False)
    assert bench.ended == []
    bench.handler.gate.set()
    await run
    assert (bench.worker.running, bench.worker.runs(job.id)) == (0, False)
    assert bench.ended == [job.id]
    assert await bench.status(job) == (JobStatus.COMPLETED, 1)


async def test_an_end_wakes_the_housekeeping_which_deletes_the_inputs_at_once():
    bench = Bench()
    with frozen_loop_time() as time:
        bench.housekeeping.start()
        job = await bench.accepted()
        bench.handler.gate.set()
        await (await bench.worker.start_next())
        await time.advance(0)
        assert job.payload.base_key not in await bench.blobs.older_than(-1)
        await bench.housekeeping.stop()


async def test_a_job_that_is_stopped_for_its_owner_stops_at_once_and_no_other_does():
    bench = Bench()
    first, second = await bench.accepted(), await bench.accepted()
    runs = [await bench.worker.start_next(), await bench.worker.start_next()]
    await bench.handler.until_started(2)
    await bench.store.cancel(first.id)
    bench.worker.stop_job(first.id)
    await runs[0]
    assert bench.handler.stopped == [first.id]
    assert await bench.status(second) == (JobStatus.PROCESSING, 1)
    bench.handler.gate.set()
    await runs[1]


async def test_what_ends_within_the_grace_time_is_finished():
    bench = Bench()
    with frozen_loop_time() as time:
        job = await bench.accepted()
        await bench.worker.start_next()
        winding = asyncio.create_task(bench.worker.wind_down(grace_s=30.0))
        await time.advance(29.75)
        assert bench.handler.stopped == []
        bench.handler.gate.set()
        await time.advance(0)
        assert winding.done()
        assert await bench.status(job) == (JobStatus.COMPLETED, 1)


async def test_what_has_not_ended_when_the_grace_time_is_over_is_handed_back():
    bench = Bench()
    with frozen_loop_time() as time:
        job = await bench.accepted()
        run = await bench.worker.start_next()
        winding = asyncio.create_task(bench.worker.wind_down(grace_s=30.0))
        await time.advance(29.75)
        assert not winding.done()
        await time.advance(0.25)
        assert winding.done()
        await run
        assert bench.handler.stopped == [job.id]
        assert await bench.status(job) == (JobStatus.PENDING, 0)


async def test_a_worker_that_is_winding_down_starts_nothing_more():
    bench = Bench()
    job = await bench.accepted()
    await bench.worker.wind_down(grace_s=0)
    assert await bench.worker.start_next() is None
    assert await bench.status(job) == (JobStatus.PENDING, 0)


async def test_a_claim_that_arrives_after_the_grace_time_is_handed_back():
    bench = Bench()
    job = await bench.accepted()
    claim, answers = bench.store.claim, asyncio.Event()

    async def late(*, worker_id: str, lease_s: float) -> Claim | None:
        claimed = await claim(worker_id=worker_id, lease_s=lease_s)
        await answers.wait()
        return claimed

    bench.store.claim = late
    starting = asyncio.create_task(bench.worker.start_next())
    await asyncio.sleep(0)
    await bench.worker.wind_down(grace_s=0)
    answers.set()
    async with asyncio.timeout(60):
        await (await starting)
    assert await bench.status(job) == (JobStatus.PENDING, 0)
    assert bench.handler.runs[job.id] == len(bench.handler.stopped)


async def test_the_mean_run_time_follows_the_newest_runs():
    now = [0.0]

    async def twenty_seconds(job: Job, listen: ProgressListener) -> JobResult:
        now[0] += 20.0
        return JobResult(image_key=None, image_media_type=None, mask_key=None, account={})

    bench = Bench(handler=twenty_seconds, monotonic=lambda: now[0])
    for expected in (12.0, 13.6):
        await bench.accepted()
        await (await bench.worker.start_next())
        assert bench.worker.mean_run_s == pytest.approx(expected)
