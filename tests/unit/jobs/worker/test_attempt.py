from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from composition.deadline import RUNNER_LEAD_S
from composition.errors import (
    CompositionError,
    ContentPolicy,
    ModelError,
    NoDetection,
    NotFound,
    NotReady,
    OutOfMemory,
    QueueFull,
    StorageAway,
    Timeout,
)
from composition.images import Image, Mask
from composition.jobs import Job, JobError, JobResult, JobStatus
from composition.ports.codec import MaskReading
from composition.ports.queue import ProgressListener
from composition.request import MaskMode, OutputFormat
from composition.result import Progress
from jobs.blobs.memory_blobs import MemoryBlobStore
from jobs.blobs.retrying_blobs import RetryingBlobStore
from jobs.protocol.claims import Claim
from jobs.stores.memory_store import MemoryJobStore
from jobs.worker.attempt import Attempt, AttemptSettings, Interruption
from tests.fakes.fake_job_handler import FakeJobHandler
from tests.fakes.loop_time import frozen_loop_time
from tests.unit.jobs.job_samples import ManualClock, sample_job

FAST = AttemptSettings(lease_s=0.03, progress_interval_s=0.0, retry_delay_s=5.0)


class Codec:
    def encode(self, image: Image, output_format: OutputFormat) -> tuple[bytes, str]:
        return b"preview", "image/jpeg"

    def decode(self, data: bytes) -> Image:
        raise AssertionError("previews are only encoded")

    def decode_mask(self, data: bytes, mode: MaskMode) -> MaskReading:
        raise AssertionError("previews are only encoded")

    def encode_mask(self, mask: Mask) -> bytes:
        raise AssertionError("previews are only encoded")


class AwayStore(MemoryJobStore):
    """Goes away for a number of calls."""

    refusals = 0

    def _answer(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise NotReady("away")

    async def complete(self, claim: Claim, result: JobResult) -> bool:
        self._answer()
        return await super().complete(claim, result)

    async def heartbeat(self, claim: Claim, *, lease_s: float, progress: Progress | None) -> bool:
        self._answer()
        return await super().heartbeat(claim, lease_s=lease_s, progress=progress)


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = AwayStore(clock=self.clock, monotonic=self.clock.monotonic)
        self.blobs = MemoryBlobStore()
        self.handler = FakeJobHandler(self.blobs)

    async def claimed(self, prompt: str = "blue car", **fields: Any) -> Claim:
        await self.store.add(sample_job(prompt, **fields))
        claim = await self.store.claim(worker_id="w", lease_s=10)
        assert claim is not None
        return claim

    def attempt(self, claim: Claim, handler: Any = None, **settings: Any) -> Attempt:
        return Attempt(
            claim, store=self.store, blobs=self.blobs, handler=handler or self.handler,
            settings=replace(FAST, **settings), on_change=lambda job_id: None, preview_codec=Codec(),
        )  # fmt: skip

    async def stored(self, claim: Claim) -> Job:
        return await self.store.get(claim.job.id)


async def test_a_worker_that_lost_its_lease_cannot_publish_and_leaves_no_image():
    bench = Bench()
    bench.handler.held, bench.handler.reports = True, ()
    late = await bench.claimed()
    running = asyncio.create_task(bench.attempt(late, lease_s=1e6).run())
    await bench.handler.until_started(1)
    bench.clock.advance(11)
    await bench.store.sweep(result_ttl_s=1e9)
    newer = await bench.store.claim(worker_id="other", lease_s=10)
    result = JobResult(image_key="theirs", image_media_type="image/png", mask_key=None, account={})
    assert await bench.store.complete(newer, result)
    bench.handler.gate.set()
    await running
    job = await bench.stored(late)
    assert (job.status, job.result, job.attempt) == (JobStatus.COMPLETED, result, 2)
    assert await bench.blobs.older_than(-10) == ()


async def test_a_lost_job_s_handler_is_stopped_at_the_next_heartbeat():
    bench = Bench()
    bench.handler.held = True
    claim = await bench.claimed()
    running = asyncio.create_task(bench.attempt(claim).run())
    await bench.handler.until_started(1)
    await bench.store.cancel(claim.job.id)
    async with asyncio.timeout(60):
        await running
    assert bench.handler.stopped == [claim.job.id]
    assert (await bench.stored(claim)).status is JobStatus.CANCELLED


async def test_heartbeats_keep_a_long_job_alive():
    bench = Bench()
    bench.handler.held = True
    claim = await bench.claimed()
    running = asyncio.create_task(bench.attempt(claim).run())
    await bench.handler.until_started(1)
    renewed = asyncio.Event()

    before = bench.store.heartbeat

    async def heartbeat(claim: Claim, *, lease_s: float, progress: Progress | None) -> bool:
        alive = await before(claim, lease_s=100.0, progress=progress)
        renewed.set()
        return alive

    bench.store.heartbeat = heartbeat
    async with asyncio.timeout(60):
        await renewed.wait()
    bench.clock.advance(50)
    assert await bench.store.sweep(result_ttl_s=1e9) == ()
    bench.handler.gate.set()
    await running
    assert (await bench.stored(claim)).attempt == 1


@pytest.mark.parametrize("reports", [(), (Progress(stage="diffuse", fraction=0.5),)], ids=["never", "after a word"])
async def test_a_silent_handler_s_lease_is_renewed_three_times_in_its_length(reports: tuple[Progress, ...]):
    bench = Bench()
    bench.handler.held, bench.handler.reports = True, reports
    claim = await bench.claimed()
    beats: list[tuple[float, float]] = []
    with frozen_loop_time() as time:

        async def heartbeat(claim: Claim, *, lease_s: float, progress: Progress | None) -> bool:
            beats.append((time.now - 1000.0, lease_s))
            return True

        bench.store.heartbeat = heartbeat
        running = asyncio.create_task(bench.attempt(claim, lease_s=15.0, progress_interval_s=0.0).run())
        await time.advance(0)
        assert [at for at, _ in beats] == [0.0] * len(reports)
        beats.clear()
        for seconds in (4.75, 0.25, 4.75, 0.25, 4.75, 0.25):
            await time.advance(seconds)
        assert beats == [(5.0, 15.0), (10.0, 15.0), (15.0, 15.0)]
        bench.handler.gate.set()
        await running


async def test_progress_is_written_at_once_and_then_no_more_often_than_said():
    bench = Bench()
    claim = await bench.claimed()
    written: list[tuple[float, float]] = []
    listeners: list[ProgressListener] = []
    gate = asyncio.Event()

    async def reports(job: Job, listen: ProgressListener) -> JobResult:
        listeners.append(listen)
        await gate.wait()
        return JobResult(image_key=None, image_media_type=None, mask_key=None, account={})

    with frozen_loop_time() as time:

        async def heartbeat(claim: Claim, *, lease_s: float, progress: Progress | None) -> bool:
            assert progress is not None
            written.append((time.now - 1000.0, progress.fraction))
            return True

        bench.store.heartbeat = heartbeat
        running = asyncio.create_task(bench.attempt(claim, reports, lease_s=15.0, progress_interval_s=0.25).run())
        await time.advance(0)
        for step in range(8):
            listeners[0](Progress(stage="diffuse", fraction=step / 8))
            await time.advance(0.125)
        assert written == [(0.0, 0.0), (0.25, 1 / 8), (0.5, 3 / 8), (0.75, 5 / 8), (1.0, 7 / 8)]
        gate.set()
        await running


@pytest.mark.parametrize(
    "error", [NotReady("is loading"), QueueFull("busy"), ModelError("died"), OutOfMemory("no memory")]
)
async def test_a_failure_of_the_machine_is_tried_again(error: CompositionError):
    bench = Bench()
    bench.handler.errors["blue car"] = [error]
    claim = await bench.claimed()
    await bench.attempt(claim).run()
    assert (await bench.stored(claim)).status is JobStatus.PENDING
    bench.clock.advance(5.0)
    again = await bench.store.claim(worker_id="w", lease_s=10)
    await bench.attempt(again).run()
    job = await bench.stored(claim)
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 2)


@pytest.mark.parametrize("error", [ContentPolicy("refused"), NoDetection("nothing found"), Timeout("too long")])
async def test_a_failure_that_would_come_again_is_final(error: CompositionError):
    bench = Bench()
    bench.handler.errors["blue car"] = [error]
    claim = await bench.claimed(time_limit_s=60.0)
    await bench.attempt(claim).run()
    job = await bench.stored(claim)
    assert (job.status, job.error.code) == (JobStatus.FAILED, error.code)


async def test_no_retry_is_delayed_by_more_than_a_minute():
    bench = Bench()
    bench.handler.errors["blue car"] = [ModelError("died")] * 4
    claim = await bench.claimed(max_attempts=5)
    for _ in range(3):
        await bench.attempt(claim).run()
        bench.clock.advance(60)
        claim = await bench.store.claim(worker_id="w", lease_s=10)
    assert claim.job.attempt == 4
    await bench.attempt(claim).run()
    bench.clock.advance(59.9)
    assert await bench.store.claim(worker_id="w", lease_s=10) is None
    bench.clock.advance(0.1)
    assert (await bench.store.claim(worker_id="w", lease_s=10)).job.attempt == 5


async def test_an_outcome_waits_for_a_store_that_is_away():
    bench = Bench()
    claim = await bench.claimed()
    bench.store.refusals = 3
    await bench.attempt(claim).run()
    assert (await bench.stored(claim)).status is JobStatus.COMPLETED


async def test_an_outcome_is_given_up_when_the_store_stays_away_and_the_lease_decides():
    bench = Bench()
    claim = await bench.claimed()
    bench.store.refusals = 10**6
    await bench.attempt(claim, publish_timeout_s=0.0).run()
    assert (await bench.stored(claim)).status is JobStatus.PROCESSING
    bench.store.refusals = 0
    bench.clock.advance(11)
    await bench.store.sweep(result_ttl_s=1e9)
    assert (await bench.stored(claim)).status is JobStatus.PENDING


async def test_a_repeated_publication_whose_first_answer_was_lost_keeps_the_result():
    bench = Bench()
    claim = await bench.claimed()
    complete = bench.store.complete
    answers = iter([NotReady("the answer was lost")])

    async def lossy(claim: Claim, result: JobResult) -> bool:
        published = await complete(claim, result)
        for error in answers:
            raise error
        return published

    bench.store.complete = lossy
    await bench.attempt(claim).run()
    job = await bench.stored(claim)
    assert job.status is JobStatus.COMPLETED
    assert await bench.blobs.get(job.result.image_key) == b"image of blue car"


@pytest.mark.parametrize(("error", "second_s"), [(ModelError("it failed"), 20.0), (NotReady("the runner died"), 10.0)])
async def test_a_transient_failure_is_delayed_before_its_next_attempt(error, second_s):
    bench = Bench()
    bench.handler.errors["blue car"] = [error, error]
    for attempt, delay_s in ((1, 5.0), (2, second_s)):
        claim = await bench.claimed() if attempt == 1 else await bench.store.claim(worker_id="w", lease_s=10)
        assert claim.job.attempt == attempt
        await bench.attempt(claim).run()
        assert (await bench.stored(claim)).status is JobStatus.PENDING
        bench.clock.advance(delay_s - 0.1)
        assert await bench.store.claim(worker_id="w", lease_s=10) is None
        bench.clock.advance(0.1)


async def test_an_attempt_that_takes_too_long_fails_with_timeout():
    bench = Bench()
    bench.handler.held = True
    claim = await bench.claimed(time_limit_s=0.01)
    async with asyncio.timeout(60):
        await bench.attempt(claim).run()
    job = await bench.stored(claim)
    assert (job.status, job.error.code) == (JobStatus.FAILED, "TIMEOUT")
    assert job.error.message == "the job took longer than 0.01 s"
    assert bench.handler.stopped == [claim.job.id]


async def test_a_runner_that_gives_up_just_before_the_limit_is_the_same_timeout():
    async def told(job: Job, listen: ProgressListener) -> JobResult:
        raise Timeout("the runner knows its deadline")

    bench = Bench()
    claim = await bench.claimed(time_limit_s=RUNNER_LEAD_S)
    await bench.attempt(claim, told).run()
    error = (await bench.stored(claim)).error
    assert (error.code, error.message) == ("TIMEOUT", "the job took longer than 0.1 s")


async def test_a_runner_that_does_not_answer_long_before_the_limit_keeps_its_own_message():
    async def hangs(job: Job, listen: ProgressListener) -> JobResult:
        raise Timeout("the detector did not answer in time")

    bench = Bench()
    claim = await bench.claimed(time_limit_s=60.0)
    await bench.attempt(claim, hangs).run()
    error = (await bench.stored(claim)).error
    assert (error.code, error.message) == ("TIMEOUT", "the detector did not answer in time")


async def test_waiting_in_the_queue_does_not_count_towards_an_attempt_s_limit():
    bench = Bench()
    await bench.store.add(sample_job(time_limit_s=30.0))
    bench.clock.advance(1000)
    claim = await bench.store.claim(worker_id="w", lease_s=10)
    await bench.attempt(claim).run()
    assert (await bench.stored(claim)).status is JobStatus.COMPLETED


async def test_a_handler_s_own_time_limit_is_not_mistaken_for_ours():
    async def slow(job: Job, listen: ProgressListener) -> JobResult:
        raise TimeoutError("of a socket")

    bench = Bench()
    claim = await bench.claimed(time_limit_s=60.0)
    await bench.attempt(claim, slow).run()
    assert (await bench.stored(claim)).error.code == "INTERNAL"


async def test_a_job_of_another_schema_version_goes_to_another_worker():
    bench = Bench()
    claim = await bench.claimed(schema_version=99)
    await bench.attempt(claim).run()
    assert (await bench.stored(claim)).status is JobStatus.PENDING
    assert bench.handler.started == []


async def test_shutting_down_hands_back_and_a_second_interruption_changes_nothing():
    bench = Bench()
    bench.handler.held = True
    claim = await bench.claimed()
    attempt = bench.attempt(claim)
    running = asyncio.create_task(attempt.run())
    await bench.handler.until_started(1)
    attempt.interrupt(Interruption.SHUTDOWN)
    attempt.interrupt(Interruption.NOT_OURS)
    await running
    job = await bench.stored(claim)
    assert (job.status, job.attempt) == (JobStatus.PENDING, 0)


async def test_a_handler_that_stops_itself_is_retried():
    async def stops(job: Job, listen: ProgressListener) -> JobResult:
        raise asyncio.CancelledError

    bench = Bench()
    claim = await bench.claimed(max_attempts=1)
    await bench.attempt(claim, stops).run()
    job = await bench.stored(claim)
    assert (job.status, job.error) == (
        JobStatus.FAILED, JobError(code="INTERNAL", message="the job was stopped from inside"),
    )  # fmt: skip


@pytest.mark.parametrize("steps_since", [0, 1, 2])
async def test_previews_join_the_stream_encoded_though_further_steps_end_before_they_are_shown(steps_since):
    bench = Bench()
    image = np.zeros((8, 8, 3), np.uint8)
    painted = Progress(stage="diffuse", fraction=0.5, step=3 - steps_since, total_steps=6, preview=image)
    later = [replace(painted, step=3 - left, preview=None) for left in reversed(range(steps_since))]
    bench.handler.reports = (painted, *later)
    bench.handler.held = True
    claim = await bench.claimed()
    shown = asyncio.Event()
    attempt = Attempt(
        claim, store=bench.store, blobs=bench.blobs, handler=bench.handler, settings=FAST,
        on_change=lambda job_id: shown.set(), preview_codec=Codec(),
    )  # fmt: skip
    running = asyncio.create_task(attempt.run())
    async with asyncio.timeout(60):
        await shown.wait()
    previews: list[Mapping[str, Any]] = [
        event.data for event in await bench.store.events(claim.job.id, after=0) if event.type == "preview"
    ]
    assert previews == [{"image": "cHJldmlldw==", "media_type": "image/jpeg", "step": 3}]
    bench.handler.gate.set()
    await running


async def test_a_job_whose_images_are_gone_fails():
    async def reads(job: Job, listen: ProgressListener) -> JobResult:
        raise NotFound("there is no such blob")

    bench = Bench()
    claim = await bench.claimed()
    await bench.attempt(claim, reads).run()
    assert (await bench.stored(claim)).error.code == "NOT_FOUND"


async def test_nothing_is_left_running():
    bench = Bench()
    claim = await bench.claimed()
    before = asyncio.all_tasks()
    await bench.attempt(claim).run()
    assert asyncio.all_tasks() == before


async def test_an_outage_of_the_storage_is_never_the_outcome_however_long_it_lasts():
    bench = Bench()
    claim = await bench.claimed(max_attempts=1)
    for _ in range(1100):  # four days: more than a doubling delay could be counted in a float
        bench.handler.errors["blue car"] = [StorageAway("no space left on device")]
        await bench.attempt(claim).run()
        assert (await bench.stored(claim)).status is JobStatus.PENDING
        bench.clock.advance(300)
        claim = await bench.store.claim(worker_id="w", lease_s=10)
    bench.handler.errors["blue car"] = [NotReady("the runner died")]
    await bench.attempt(claim).run()
    assert (await bench.stored(claim)).status is JobStatus.PENDING
    bench.clock.advance(300)
    await bench.attempt(await bench.store.claim(worker_id="w", lease_s=10)).run()
    assert (await bench.stored(claim)).status is JobStatus.COMPLETED


async def test_a_job_whose_time_passed_while_it_waited_for_the_storage_has_not_failed():
    class Full(MemoryBlobStore):
        async def put(self, data: bytes) -> str:
            raise StorageAway("no space left on device")

    bench = Bench()
    claim = await bench.claimed(max_attempts=1, time_limit_s=0.05)
    await bench.attempt(claim, FakeJobHandler(RetryingBlobStore(Full()))).run()
    job = await bench.stored(claim)
    assert (job.status, job.error) == (JobStatus.PENDING, None)


async def test_a_runner_that_dies_again_and_again_ends_a_job_at_last():
    bench = Bench()
    claim = await bench.claimed()
    for _ in range(50):
        bench.handler.errors["blue car"] = [NotReady("the runner died")]
        await bench.attempt(claim).run()
        bench.clock.advance(300)
        claim = await bench.store.claim(worker_id="w", lease_s=10)
    bench.handler.errors["blue car"] = [NotReady("the runner died")]
    await bench.attempt(claim).run()
    job = await bench.stored(claim)
    assert (job.status, job.error.code) == (JobStatus.FAILED, "NOT_READY")
