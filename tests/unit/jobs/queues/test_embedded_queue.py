from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from composition.errors import Cancelled, InvalidInput, ModelError, NotFound, NotReady, OutOfMemory, QueueFull
from composition.jobs import Job, JobError, JobEvent, JobStatus, Priority
from composition.result import Progress
from jobs.blobs.memory_blobs import MemoryBlobStore
from jobs.protocol.claims import Claim
from jobs.queues.embedded_queue import EmbeddedJobQueue
from jobs.stores.memory_store import MemoryJobStore
from tests.fakes.fake_job_handler import FakeJobHandler
from tests.fakes.loop_time import frozen_loop_time
from tests.unit.jobs.job_samples import sample_job


class Bench:
    """A queue over memory with everything in reach."""

    def __init__(
        self,
        *,
        concurrency: int = 1,
        max_pending: int = 100,
        lease_s: float = 15.0,
        store: MemoryJobStore | None = None,
        **options: object,
    ) -> None:
        self.blobs = MemoryBlobStore()
        self.store = store or MemoryJobStore(max_pending=max_pending)
        self.handler = FakeJobHandler(self.blobs)
        self.queue = EmbeddedJobQueue(
            self.store, self.handler, self.blobs,
            concurrency=concurrency, lease_s=lease_s, retry_delay_s=0.0, **options,
        )  # fmt: skip

    async def submit(self, prompt: str = "blue car", *, interactive: bool = False, **fields: object) -> Job:
        key = await self.blobs.put(b"image")
        return await self.queue.submit(sample_job(prompt, base_key=key, interactive=interactive, **fields))


@contextlib.asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[Bench]:
    await bench.queue.start()
    try:
        yield bench
    finally:
        bench.handler.gate.set()
        await bench.queue.stop(grace_s=1)


async def test_a_submitted_job_runs_and_its_waiter_gets_the_result():
    async with running(Bench()) as bench:
        job = await bench.submit("a teapot")
        done = await asyncio.wait_for(bench.queue.wait(job.id), 60)
        assert done.status is JobStatus.COMPLETED
        assert done.progress == 1.0
        assert done.attempt == 1
        assert await bench.blobs.get(done.result.image_key) == b"image of a teapot"


async def test_no_job_is_started_while_the_models_are_loaded_and_none_is_lost_to_it():
    answers: list[bool | Exception] = [False, RuntimeError("no answer"), False, True]
    asked = []

    async def loaded() -> bool:
        asked.append(list(bench.handler.started))
        answer = answers[min(len(asked), len(answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    bench = Bench(ready=loaded)
    async with running(bench):
        job = await bench.submit("a teapot")
        done = await asyncio.wait_for(bench.queue.wait(job.id), 60)
        assert (done.status, done.attempt) == (JobStatus.COMPLETED, 1)
        assert asked == [[]] * len(answers), "nothing was started before; it is not asked again"


async def test_a_job_of_before_keeps_its_attempt_and_its_time_while_the_models_are_loaded():
    gate = asyncio.Event()

    async def loaded() -> bool:
        return gate.is_set()

    bench = Bench(ready=loaded)
    async with running(bench):
        job = await bench.submit("a teapot")
        for _ in range(50):
            await asyncio.sleep(0)
        with pytest.raises(NotReady):
            await bench.submit("who waits for it", interactive=True)
        waiting = await bench.store.get(job.id)
        assert (waiting.status, waiting.attempt) == (JobStatus.PENDING, 0)
        gate.set()
        now = await bench.submit("who asks as soon as they are loaded", interactive=True)
        assert now.priority is Priority.INTERACTIVE
        done = await asyncio.wait_for(bench.queue.wait(job.id), 60)
        assert done.attempt == 1


async def test_a_crowd_that_asks_while_the_models_are_loaded_asks_them_once():
    asked, gate = [], asyncio.Event()

    async def loaded() -> bool:
        asked.append(1)
        await gate.wait()
        return False

    bench = Bench(ready=loaded)
    async with running(bench):
        crowd = [asyncio.create_task(bench.submit(str(number), interactive=True)) for number in range(20)]
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(asked) == 1
        gate.set()
        assert {type(error) for error in await asyncio.gather(*crowd, return_exceptions=True)} == {NotReady}


async def test_a_queue_whose_models_never_come_can_be_stopped():
    async def loaded() -> bool:
        return False

    bench = Bench(ready=loaded)
    async with asyncio.timeout(30):
        async with running(bench):
            job = await bench.submit("a teapot")
    assert (await bench.store.get(job.id)).status is JobStatus.PENDING


async def test_a_waiter_is_woken_without_polling():
    async with running(Bench()) as bench:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(20):
            await bench.queue.wait((await bench.submit(interactive=True)).id)
        assert loop.time() - began < 1.0


async def test_a_newer_job_of_a_session_stops_the_older_one_and_is_run_in_its_place():
    async with running(Bench(concurrency=1, max_pending=1)) as bench:
        bench.handler.held = True
        older = await bench.submit("a teapot", interactive=True, session="photo")
        waiting = asyncio.create_task(bench.queue.wait(older.id))
        await bench.handler.until_started(1)
        newer = await bench.submit("a glass teapot", interactive=True, session="photo")
        ended = await asyncio.wait_for(waiting, 60)
        assert (ended.status, ended.error) == (
            JobStatus.CANCELLED,
            JobError(
                code="SUPERSEDED",
                message="a newer request of the same session took this one's place",
                details={"superseded_by": newer.id},
            ),
        )
        await bench.handler.until_started(2)
        assert bench.handler.stopped == [older.id], "at once, not at its next heartbeat"
        bench.handler.gate.set()
        done = await asyncio.wait_for(bench.queue.wait(newer.id), 60)
        assert await bench.blobs.get(done.result.image_key) == b"image of a glass teapot"
        events = [event async for event in bench.queue.events(older.id, owner="anonymous", after=0)]
        assert (events[-1].data["status"], events[-1].data["error_code"]) == ("cancelled", "SUPERSEDED")


async def test_a_session_is_its_owner_s_alone_and_a_job_of_none_is_nobody_s():
    async with running(Bench(concurrency=9)) as bench:
        bench.handler.held = True
        others = [
            await bench.submit(session="photo", owner="bob"),
            await bench.submit(session="another", owner="alice"),
            await bench.submit(owner="alice"),
            await bench.submit(owner="alice"),
        ]
        mine = await bench.submit(session="photo", owner="alice")
        await bench.handler.until_started(5)
        assert [(await bench.store.get(job.id)).status for job in [*others, mine]] == [JobStatus.PROCESSING] * 5


async def test_a_refused_job_supersedes_none_and_neither_does_a_repeated_one():
    async with running(Bench(concurrency=0, max_pending=2)) as bench:
        first = await bench.submit(session="photo", idempotency_key="one", body_digest="d")
        second = await bench.submit(session="photo", idempotency_key="two", body_digest="d")
        assert (await bench.submit(session="photo", idempotency_key="one", body_digest="d")).id == first.id
        assert (await bench.store.get(second.id)).status is JobStatus.PENDING
        await bench.submit()
        with pytest.raises(QueueFull):
            await bench.submit(session="photo")
        assert (await bench.store.get(second.id)).status is JobStatus.PENDING


async def test_a_job_that_cannot_end_the_older_ones_is_run_all_the_same():
    class Away(MemoryJobStore):
        async def supersede(self, newest: Job) -> tuple[Job, ...]:
            raise NotReady("the store is away")

    async with running(Bench(concurrency=2, store=Away())) as bench:
        jobs = [await bench.submit(session="photo") for _ in range(2)]
        done = [await asyncio.wait_for(bench.queue.wait(job.id), 60) for job in jobs]
        assert [job.status for job in done] == [JobStatus.COMPLETED] * 2


async def test_input_images_are_deleted_when_the_job_ends_and_the_result_stays():
    async with running(Bench()) as bench:
        job = await bench.submit()
        done = await bench.queue.wait(job.id)
    with pytest.raises(NotFound):
        await bench.blobs.get(job.payload.base_key)
    assert await bench.blobs.get(done.result.image_key)


async def test_interactive_jobs_overtake_and_the_rest_is_first_in_first_out():
    async with running(Bench()) as bench:
        bench.handler.held = True
        blocker = await bench.submit()
        await bench.handler.until_started(1)
        slow = [await bench.submit() for _ in range(3)]
        quick = [await bench.submit(interactive=True) for _ in range(2)]
        bench.handler.gate.set()
        await asyncio.gather(*(bench.queue.wait(job.id) for job in (*slow, *quick)))
        assert bench.handler.started == [job.id for job in (blocker, *quick, *slow)]


async def test_no_more_than_the_configured_number_run_at_once():
    async with running(Bench(concurrency=3)) as bench:
        bench.handler.held = True
        jobs = [await bench.submit() for _ in range(8)]
        await bench.handler.until_started(3)
        counts = await bench.queue.counts()
        assert (counts[JobStatus.PROCESSING], counts[JobStatus.PENDING]) == (3, 5)
        bench.handler.gate.set()
        await asyncio.gather(*(bench.queue.wait(job.id) for job in jobs))
        assert bench.handler.most_at_once == 3


async def test_a_full_queue_refuses_with_a_time_and_keeps_no_image():
    async with running(Bench(max_pending=1)) as bench:
        bench.handler.held = True
        await bench.submit()
        await bench.handler.until_started(1)
        await bench.submit()
        key = await bench.blobs.put(b"refused")
        with pytest.raises(QueueFull) as refusal:
            await bench.queue.submit(sample_job(base_key=key))
        assert refusal.value.retry_after_s >= 1
        with pytest.raises(NotFound):
            await bench.blobs.get(key)


async def test_cancelling_a_running_job_stops_its_handler_and_wakes_its_waiter():
    async with running(Bench()) as bench:
        bench.handler.held, bench.handler.reports = True, ()
        job = await bench.submit()
        await bench.handler.until_started(1)
        waiter = asyncio.create_task(bench.queue.wait(job.id))
        cancelled = await bench.queue.cancel(job.id, owner="anonymous")
        assert cancelled.status is JobStatus.CANCELLED
        assert (await asyncio.wait_for(waiter, 60)).status is JobStatus.CANCELLED
        async with asyncio.timeout(60):
            await bench.handler.until_idle()
        assert bench.handler.stopped == [job.id]
        again = await bench.queue.cancel(job.id, owner="anonymous")
        assert again.status is JobStatus.CANCELLED


async def test_another_owner_neither_sees_nor_cancels_a_job():
    async with running(Bench()) as bench:
        job = await bench.submit(owner="alice")
        with pytest.raises(NotFound):
            await bench.queue.get(job.id, owner="bob")
        with pytest.raises(NotFound):
            await bench.queue.cancel(job.id, owner="bob")
        with pytest.raises(NotFound):
            [event async for event in bench.queue.events(job.id, owner="bob", after=0)]
        page = await bench.queue.list(owner="bob", status=None, limit=10, cursor=None)
        assert page.jobs == ()


async def test_a_composition_error_fails_the_job_with_its_code_and_is_not_retried():
    async with running(Bench()) as bench:
        bench.handler.errors["bad"] = [InvalidInput("no such thing", details={"field": "prompt"})]
        done = await bench.queue.wait((await bench.submit("bad")).id)
        assert done.status is JobStatus.FAILED
        assert (done.error.code, done.error.message, done.error.details) == (
            "INVALID_INPUT",
            "no such thing",
            {"field": "prompt"},
        )
        assert done.attempt == 1


async def test_an_unexpected_error_is_opaque(caplog):
    async with running(Bench()) as bench:
        bench.handler.errors["bad"] = [ValueError("secret of the inside")]
        done = await bench.queue.wait((await bench.submit("bad")).id)
        assert (done.status, done.error.code) == (JobStatus.FAILED, "INTERNAL")
        assert "secret" not in done.error.message
        assert "secret of the inside" in caplog.text


async def test_a_transient_error_is_retried_up_to_the_bound():
    async with running(Bench()) as bench:
        bench.handler.errors["flaky"] = [OutOfMemory("no memory"), ModelError("the model failed")]
        bench.handler.errors["broken"] = [ModelError("the model failed")] * 9
        flaky = await bench.queue.wait((await bench.submit("flaky")).id)
        broken = await bench.queue.wait((await bench.submit("broken")).id)
        assert (flaky.status, flaky.attempt) == (JobStatus.COMPLETED, 3)
        assert (broken.status, broken.attempt, broken.error.code) == (JobStatus.FAILED, 3, "MODEL_ERROR")


@pytest.mark.parametrize(
    "error",
    [NotReady("the runner died"), NotReady("the storage is away"), Cancelled("nobody renewed the lease")],
    ids=["runner", "storage", "lease"],
)
async def test_what_was_lost_with_its_machine_does_not_count_as_an_attempt(error):
    async with running(Bench()) as bench:
        bench.handler.errors["unlucky"] = [error] * 9 + [ModelError("the model failed")] * 2
        done = await bench.queue.wait((await bench.submit("unlucky", max_attempts=3)).id)
        assert (done.status, done.attempt, done.error) == (JobStatus.COMPLETED, 12, None)


async def test_a_job_that_takes_its_machine_down_every_time_ends_one_day():
    async with running(Bench()) as bench:
        bench.handler.errors["killer"] = [NotReady("the runner died")] * 99
        done = await bench.queue.wait((await bench.submit("killer")).id)
        assert (done.status, done.error.code, done.attempt) == (JobStatus.FAILED, "NOT_READY", 51)


async def test_an_interactive_job_is_never_retried():
    async with running(Bench()) as bench:
        bench.handler.errors["flaky"] = [NotReady("the runner died")]
        done = await bench.queue.wait((await bench.submit("flaky", interactive=True)).id)
        assert (done.status, done.attempt) == (JobStatus.FAILED, 1)


async def test_the_stream_tells_the_whole_story_and_replays_from_any_point():
    async with running(Bench()) as bench:
        bench.handler.held = True
        job = await bench.submit()
        seen = []
        async for event in bench.queue.events(job.id, owner="anonymous", after=0):
            seen.append(event)
            if event.type == "progress":
                bench.handler.gate.set()
        assert [event.data.get("status") or event.data["stage"] for event in seen] == [
            "pending", "processing", "diffuse", "completed",
        ]  # fmt: skip
        assert [event.sequence for event in seen] == [1, 2, 3, 4]
        replay = [event async for event in bench.queue.events(job.id, owner="anonymous", after=2)]
        assert replay == seen[2:]
        assert [event async for event in bench.queue.events(job.id, owner="anonymous", after=4)] == []


async def test_progress_never_falls_within_an_attempt():
    async with running(Bench()) as bench:
        bench.handler.held = True
        bench.handler.reports = tuple(Progress(stage="diffuse", fraction=f) for f in (0.2, 0.6, 0.4))
        job = await bench.submit()
        async for event in bench.queue.events(job.id, owner="anonymous", after=0):
            if event.type == "progress":
                break
        first = (await bench.queue.get(job.id, owner="anonymous")).progress
        bench.handler.gate.set()
        assert first == 0.4
        assert (await bench.queue.wait(job.id)).progress == 1.0


async def test_stopping_finishes_what_ends_in_time():
    async with running(Bench()) as bench:
        bench.handler.held = True
        job = await bench.submit()
        await bench.handler.until_started(1)
        stopping = asyncio.create_task(bench.queue.stop(grace_s=10))
        await asyncio.sleep(0)
        with pytest.raises(NotReady):
            await bench.submit()
        bench.handler.gate.set()
        await stopping
        assert (await bench.store.get(job.id)).status is JobStatus.COMPLETED


async def test_stopping_hands_back_what_does_not_end_in_time_without_counting_the_attempt():
    async with running(Bench(concurrency=2)) as bench:
        bench.handler.held = True
        slow, quick = await bench.submit(), await bench.submit(interactive=True)
        await bench.handler.until_started(2)
        waiting = await bench.submit(interactive=True)
        caller = asyncio.create_task(bench.queue.wait(waiting.id))
        await bench.queue.stop(grace_s=0)
        handed_back = await bench.store.get(slow.id)
        assert (handed_back.status, handed_back.attempt) == (JobStatus.PENDING, 0)
        assert await bench.blobs.get(slow.payload.base_key) == b"image"
        stopped = await bench.store.get(quick.id)
        assert (stopped.status, stopped.error.code) == (JobStatus.FAILED, "NOT_READY")
        with pytest.raises(NotReady, match="stopping"):
            await caller


async def test_whoever_waits_for_what_does_not_end_here_is_told_as_soon_as_the_queue_winds_down():
    async with running(Bench()) as bench:
        bench.handler.held = True
        runs = await bench.submit()
        await bench.handler.until_started(1)
        waits = await bench.submit()
        callers = {job.id: asyncio.create_task(bench.queue.wait(job.id)) for job in (runs, waits)}
        streams = {job.id: asyncio.create_task(_follow(bench, job)) for job in (runs, waits)}
        stopping = asyncio.create_task(bench.queue.wind_down(grace_s=30))
        async with asyncio.timeout(60):
            for early in (callers[waits.id], streams[waits.id]):
                with pytest.raises(NotReady, match="stopping"):
                    await early
            assert not callers[runs.id].done()
            bench.handler.gate.set()
            assert (await callers[runs.id]).status is JobStatus.COMPLETED
            assert (await streams[runs.id])[-1].data["status"] == "completed"
            await stopping


async def test_who_follows_a_job_that_is_handed_back_is_told_so():
    async with running(Bench()) as bench:
        bench.handler.held = True
        job = await bench.submit()
        await bench.handler.until_started(1)
        following, waiting = asyncio.create_task(_follow(bench, job)), asyncio.create_task(bench.queue.wait(job.id))
        async with asyncio.timeout(60):
            await bench.queue.wind_down(grace_s=0)
            for told in (following, waiting):
                with pytest.raises(NotReady, match="stopping"):
                    await told
        assert (await bench.store.get(job.id)).status is JobStatus.PENDING


async def _follow(bench: Bench, job: Job) -> list[JobEvent]:
    return [event async for event in bench.queue.events(job.id, owner="anonymous", after=0)]


async def test_stopping_waits_the_whole_grace_time_and_no_longer():
    with frozen_loop_time() as time:
        bench = Bench()
        await bench.queue.start()
        bench.handler.held = True
        job = await bench.submit()
        await time.advance(0)
        stopping = asyncio.create_task(bench.queue.stop(grace_s=30))
        await time.advance(29.75)
        assert (bench.handler.stopped, stopping.done()) == ([], False)
        await time.advance(0.25)
        assert (bench.handler.stopped, stopping.done()) == ([job.id], True)


async def test_the_images_of_a_submission_whose_answer_was_lost_stay_because_the_job_may_be_there():
    async with running(Bench()) as bench:
        key = await bench.blobs.put(b"image")

        async def lost(job: Job) -> Job:
            raise NotReady("the answer was lost")

        bench.store.add = lost
        with pytest.raises(NotReady):
            await bench.queue.submit(sample_job(base_key=key))
        assert await bench.blobs.get(key) == b"image"


async def test_a_refusal_says_how_long_a_place_takes_to_become_free():
    async with running(Bench(concurrency=4, max_pending=1)) as bench:
        bench.handler.held = True
        for _ in range(4):
            await bench.submit()
        await bench.handler.until_started(4)
        await bench.submit()
        for refused in (bench.queue.check_room(), bench.submit()):
            with pytest.raises(QueueFull) as refusal:
                await refused
            assert refusal.value.retry_after_s == 3


async def test_a_client_that_leaves_while_its_interactive_job_is_accepted_leaves_no_job_behind():
    async with running(Bench()) as bench:
        bench.handler.held = True
        await bench.submit()
        await bench.handler.until_started(1)
        job = sample_job(interactive=True)
        submitting = asyncio.create_task(bench.queue.submit(job))
        await asyncio.sleep(0)
        submitting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submitting
        async with asyncio.timeout(60):
            assert (await bench.queue.wait(job.id)).status is JobStatus.CANCELLED


async def test_a_repeated_idempotency_key_gives_the_first_job_and_drops_the_new_images():
    async with running(Bench()) as bench:
        first = await bench.submit(idempotency_key="k", body_digest="d")
        key = await bench.blobs.put(b"again")
        second = await bench.queue.submit(sample_job(base_key=key, idempotency_key="k", body_digest="d"))
        assert second.id == first.id
        with pytest.raises(NotFound):
            await bench.blobs.get(key)
        await bench.queue.wait(first.id)
        assert bench.handler.runs[first.id] == 1


async def test_an_unexpected_error_of_the_store_does_not_end_the_queue(caplog):
    async with running(Bench()) as bench:
        claim, errors = bench.store.claim, iter([ValueError("of the store")])

        async def broken_once(*, worker_id: str, lease_s: float) -> Claim | None:
            for error in errors:
                raise error
            return await claim(worker_id=worker_id, lease_s=lease_s)

        bench.store.claim = broken_once
        job = await bench.submit()
        async with asyncio.timeout(60):
            assert (await bench.queue.wait(job.id)).status is JobStatus.COMPLETED
        assert "of the store" in caplog.text


class CountingStore(MemoryJobStore):
    """Counts how often it is asked for room, and takes a turn of the loop to answer."""

    looks = 0

    async def check_room(self) -> None:
        self.looks += 1
        await asyncio.sleep(0)
        await super().check_room()


async def test_a_crowd_that_asks_for_room_at_once_looks_at_the_store_once():
    bench = Bench()
    store = CountingStore(max_pending=1)
    queue = EmbeddedJobQueue(store, bench.handler, bench.blobs, concurrency=1, lease_s=15.0, retry_delay_s=0.0)
    bench.store, bench.queue = store, queue
    async with running(bench):
        assert await asyncio.gather(*(queue.check_room() for _ in range(200))) == [None] * 200
        assert store.looks == 1
        bench.handler.held = True
        await bench.submit()
        await bench.handler.until_started(1)
        await bench.submit()
        store.looks = 0
        answers = await asyncio.gather(*(queue.check_room() for _ in range(200)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {QueueFull}
        assert store.looks == 1
        looking = asyncio.create_task(queue.check_room())
        await asyncio.sleep(0)
        with pytest.raises(QueueFull) as refusal:  # at once: the one who looks is not done
            await queue.check_room()
        assert (looking.done(), refusal.value.details) == (False, {"pending": 1})
        with pytest.raises(QueueFull):
            await looking
        bench.handler.gate.set()
        await bench.handler.until_started(2)
        await queue.check_room()  # who asks alone hears how it is now


async def test_a_queue_has_room_only_between_its_start_and_its_stop():
    bench = Bench(max_pending=1)
    with pytest.raises(NotReady):
        await bench.queue.check_room()
    async with running(bench):
        await bench.queue.check_room()
    with pytest.raises(NotReady):
        await bench.queue.check_room()
