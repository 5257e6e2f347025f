from __future__ import annotations

import asyncio

import pytest

from composition.errors import NotFound, NotReady
from composition.jobs import Job, JobStatus
from jobs.blobs.memory_blobs import MemoryBlobStore
from jobs.stores.memory_store import MemoryJobStore
from jobs.worker.housekeeping import Housekeeping
from tests.unit.jobs.job_samples import ManualClock, sample_job, sample_result


class Bench:
    def __init__(self, *, grace_after_outage_s: float = 0.0) -> None:
        self.clock = ManualClock()
        self.store = MemoryJobStore(clock=self.clock, monotonic=self.clock.monotonic)
        self.blobs = MemoryBlobStore(clock=self.clock)
        self.ended: list[Job] = []
        self.housekeeping = Housekeeping(
            self.store,
            self.blobs,
            result_ttl_s=100,
            interval_s=0.01,
            grace_after_outage_s=grace_after_outage_s,
            on_ended=self.ended.append,
        )

    async def completed(self) -> Job:
        job = await self.store.add(sample_job(base_key=await self.blobs.put(b"in")))
        claim = await self.store.claim(worker_id="w", lease_s=10)
        image, mask = await self.blobs.put(b"image"), await self.blobs.put(b"mask")
        await self.store.complete(claim, sample_result(image, mask))
        return await self.store.get(job.id)


async def test_an_ended_job_s_inputs_go_and_its_images_stay_until_the_result_expires():
    bench = Bench()
    job = await bench.completed()
    await bench.housekeeping.collect_garbage()
    assert set(await bench.blobs.older_than(0)) == {job.result.image_key, job.result.mask_key}
    bench.clock.advance(99)
    await bench.housekeeping.sweep()
    assert (await bench.store.get(job.id)).status is JobStatus.COMPLETED
    bench.clock.advance(1)
    await bench.housekeeping.sweep()
    await bench.housekeeping.collect_garbage()
    with pytest.raises(NotFound):
        await bench.store.get(job.id)
    assert await bench.blobs.older_than(0) == ()
    assert await bench.store.garbage(limit=9) == ()


async def test_old_images_that_no_job_names_are_orphans():
    bench = Bench()
    done = await bench.completed()
    waiting = await bench.store.add(sample_job(base_key=await bench.blobs.put(b"in")))
    orphan = await bench.blobs.put(b"left by a crash")
    await bench.housekeeping.collect_orphans()
    assert await bench.blobs.get(orphan) == b"left by a crash"
    bench.clock.advance(3600)
    young = await bench.blobs.put(b"of a job that is being submitted")
    await bench.housekeeping.collect_orphans()
    assert await bench.blobs.get(orphan)
    await bench.housekeeping.collect_orphans()
    with pytest.raises(NotFound):
        await bench.blobs.get(orphan)
    for key in (waiting.payload.base_key, done.result.image_key, young):
        assert await bench.blobs.get(key)


async def test_a_clock_that_is_set_forward_costs_no_submission_its_image():
    bench = Bench()
    key = await bench.blobs.put(b"of a job that is being submitted")
    bench.clock.set_by(2 * 3600)
    await bench.housekeeping.collect_orphans()
    await bench.store.add(sample_job(base_key=key))
    await bench.housekeeping.collect_orphans()
    assert await bench.blobs.get(key) == b"of a job that is being submitted"


async def test_deletion_that_a_crash_interrupted_is_repeated():
    class Crashing(MemoryBlobStore):
        crashes = 1

        async def delete(self, keys):
            await super().delete(keys)
            if self.crashes:
                self.crashes -= 1
                raise NotReady("crashed after the deletion, before the note")

    bench = Bench()
    job = await bench.completed()
    crashing = Crashing()
    housekeeping = Housekeeping(
        bench.store, crashing, result_ttl_s=100, interval_s=1, grace_after_outage_s=0, on_ended=bench.ended.append
    )
    with pytest.raises(NotReady):
        await housekeeping.collect_garbage()
    assert await bench.store.garbage(limit=9) == (job.payload.base_key,)
    await housekeeping.collect_garbage()
    assert await bench.store.garbage(limit=9) == ()


async def test_it_runs_by_itself_tells_what_ended_and_outlives_a_store_that_is_away():
    bench = Bench()
    job = await bench.completed()
    bench.clock.advance(100)
    sweep, refusals = bench.store.sweep, iter([NotReady("away")])

    async def lossy(*, result_ttl_s: float) -> tuple[Job, ...]:
        for error in refusals:
            raise error
        return await sweep(result_ttl_s=result_ttl_s)

    bench.store.sweep = lossy
    told = asyncio.Event()
    bench.housekeeping._on_ended = lambda ended: told.set()
    bench.housekeeping.start()
    async with asyncio.timeout(60):
        await told.wait()
    await bench.housekeeping.stop()
    with pytest.raises(NotFound):
        await bench.store.get(job.id)


async def test_leases_are_not_judged_before_the_workers_could_speak():
    bench = Bench(grace_after_outage_s=1e6)
    await bench.store.add(sample_job())
    claim = await bench.store.claim(worker_id="w", lease_s=10)
    bench.clock.advance(1000)
    bench.housekeeping.start()
    for _ in range(20):
        bench.housekeeping.wake()
        await asyncio.sleep(0)
    await bench.housekeeping.stop()
    assert (await bench.store.get(claim.job.id)).status is JobStatus.PROCESSING


async def test_after_an_absence_of_the_store_the_workers_speak_first():
    bench = Bench(grace_after_outage_s=0.2)
    loop, asked_at = asyncio.get_running_loop(), []
    second = asyncio.Event()

    async def away_once(*, result_ttl_s: float) -> tuple[Job, ...]:
        asked_at.append(loop.time())
        if len(asked_at) == 1:
            raise NotReady("away")
        second.set()
        return ()

    bench.store.sweep = away_once
    bench.housekeeping.start()
    async with asyncio.timeout(60):
        await second.wait()
    await bench.housekeeping.stop()
    assert asked_at[1] - asked_at[0] >= 0.2
