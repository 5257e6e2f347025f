from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from composition.config import ConfigError
from composition.errors import IdempotencyConflict, InvalidInput, NotReady, QueueFull
from composition.jobs import EditPayload, JobError, JobKind, JobStatus
from composition.request import EditOptions, PipelineChoice
from composition.result import Progress
from jobs.stores.sqlite_schema import MIGRATIONS
from jobs.stores.sqlite_store import SqliteJobStore
from tests.unit.jobs.job_samples import ManualClock, sample_job, sample_result


@contextlib.asynccontextmanager
async def opened(path: Path, **settings: object) -> AsyncIterator[SqliteJobStore]:
    store = SqliteJobStore(path, **settings)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "jobs.db"
    job = sample_job("a teapot", callback_url="https://a.example", idempotency_key="k", body_digest="d")
    async with opened(path) as store:
        accepted = await store.add(job)
        claim = await store.claim(worker_id="w", lease_s=9)
        await store.heartbeat(claim, lease_s=9, progress=Progress(stage="mask", fraction=0.3))
        await store.complete(claim, sample_result("out", "mask"))
        stream = await store.events(job.id, after=0)
    async with opened(path) as store:
        again = await store.get(job.id)
        assert (again.status, again.result) == (JobStatus.COMPLETED, sample_result("out", "mask"))
        assert again.payload == accepted.payload
        assert await store.events(job.id, after=0) == stream
        assert [delivery.url for delivery in await store.due_deliveries(limit=9, hold_s=1)] == ["https://a.example"]
        assert await store.garbage(limit=9) == ("base",)
        assert (await store.add(sample_job(idempotency_key="k", body_digest="d"))).id == job.id


async def test_every_field_of_a_job_survives(tmp_path: Path) -> None:
    options = EditOptions(
        pipeline=PipelineChoice.COMPLEX, control_types=("pose", "depth"), seed=7, strength=0.5,
        loras={"ink": 0.8},
    )  # fmt: skip
    payload = EditPayload(
        prompt="ünïcode", base_key="b", negative_prompt="no", reference_keys=("r1", "r2"), mask_key="m", options=options
    )
    job = sample_job(owner="alice", payload=payload)
    async with opened(tmp_path / "jobs.db") as store:
        await store.add(job)
        stored = await store.get(job.id)
        assert stored.payload == job.payload
        claim = await store.claim(worker_id="w", lease_s=9)
        error = JobError(code="MODEL_ERROR", message="no", details={"stage": "diffuse"})
        await store.fail(claim, error, retry=False)
        assert (await store.get(job.id)).error == error


async def test_a_second_process_is_refused_and_the_file_is_free_after_closing(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    async with opened(path):
        with pytest.raises(ConfigError, match=r"in use by another process.*queue\.backend: celery"):
            await SqliteJobStore(path, lock_wait_s=0).open()
    async with opened(path) as store:
        assert (await store.counts())[JobStatus.PENDING] == 0


async def test_a_successor_waits_for_a_predecessor_that_is_just_ending(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    predecessor, successor = SqliteJobStore(path), SqliteJobStore(path)
    await predecessor.open()
    opening = asyncio.create_task(successor.open())
    await asyncio.sleep(0)
    assert not opening.done()
    await predecessor.close()
    await opening
    await successor.close()


async def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    with pytest.raises(ConfigError, match="schema version"):
        await SqliteJobStore(path).open()


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(ConfigError, match=r"storage\.jobs"):
        await SqliteJobStore(path).open()


async def test_the_queue_is_bounded_by_what_waits(tmp_path: Path) -> None:
    async with opened(tmp_path / "jobs.db", max_pending=2) as store:
        await store.add(sample_job())
        await store.add(sample_job())
        with pytest.raises(QueueFull) as refusal:
            await store.add(sample_job())
        assert refusal.value.details == {"pending": 2}
        await store.claim(worker_id="w", lease_s=9)
        await store.add(sample_job())


async def test_candidates_take_a_place_each_until_their_job_starts_and_an_analysis_takes_one(tmp_path: Path) -> None:
    eight = EditPayload(prompt="x", base_key="b", n=8)
    async with opened(tmp_path / "jobs.db", max_pending=10) as store:
        await store.add(sample_job(payload=eight))
        await store.add(sample_job(payload=eight, kind=JobKind.ANALYZE))
        with pytest.raises(QueueFull) as refusal:
            await store.add(sample_job(payload=EditPayload(prompt="x", base_key="b", n=2)))
        assert refusal.value.details == {"pending": 9}
        await store.claim(worker_id="w", lease_s=9)
        await store.add(sample_job(payload=eight))


async def test_a_job_of_more_candidates_than_there_are_places_is_taken_where_nothing_waits(tmp_path: Path) -> None:
    eight = EditPayload(prompt="x", base_key="b", n=8)
    async with opened(tmp_path / "jobs.db", max_pending=2) as store:
        await store.add(sample_job(payload=eight))
        with pytest.raises(QueueFull):
            await store.check_room()


async def test_a_file_from_before_there_were_candidates_counts_its_jobs_as_one_each(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    async with opened(path) as store:
        await store.add(sample_job())
        await store.add(sample_job())
    db = sqlite3.connect(path)
    db.executescript("DROP INDEX jobs_places; ALTER TABLE jobs DROP COLUMN places; PRAGMA user_version = 1;")
    db.close()
    async with opened(path, max_pending=3) as store:
        await store.add(sample_job())
        with pytest.raises(QueueFull):
            await store.add(sample_job())


async def test_an_idempotency_key_is_the_owner_s_own_and_is_bound_to_the_body(tmp_path: Path) -> None:
    async with opened(tmp_path / "jobs.db") as store:
        first = await store.add(sample_job(owner="alice", idempotency_key="k", body_digest="one"))
        same = await store.add(sample_job(owner="alice", idempotency_key="k", body_digest="one"))
        other = await store.add(sample_job(owner="bob", idempotency_key="k", body_digest="two"))
        assert same.id == first.id
        assert other.id != first.id
        with pytest.raises(IdempotencyConflict):
            await store.add(sample_job(owner="alice", idempotency_key="k", body_digest="two"))


async def test_a_key_is_free_again_when_its_job_expired(tmp_path: Path) -> None:
    clock = ManualClock()
    async with opened(tmp_path / "jobs.db", clock=clock) as store:
        first = await store.add(sample_job(idempotency_key="k", body_digest="one"))
        await store.cancel(first.id)
        clock.advance(100)
        (gone,) = await store.sweep(result_ttl_s=100)
        assert gone.id == first.id
        assert (await store.add(sample_job(idempotency_key="k", body_digest="two"))).id != first.id


@pytest.mark.parametrize("cursor", ["", "x", "MTp4", "Mjo1", "\N{SNOWMAN}", "MTo5OTk5OTk5OTk5OTk5OTk5OTk5OTk"])
async def test_a_foreign_cursor_is_refused(tmp_path: Path, cursor: str) -> None:
    async with opened(tmp_path / "jobs.db") as store:
        with pytest.raises(InvalidInput):
            await store.list(owner="anonymous", status=None, limit=5, cursor=cursor)


async def test_progress_entries_are_bounded_and_only_the_last_preview_is_kept(tmp_path: Path) -> None:
    async with opened(tmp_path / "jobs.db") as store:
        job = await store.add(sample_job())
        claim = await store.claim(worker_id="w", lease_s=9)
        for n in range(400):
            await store.heartbeat(claim, lease_s=9, progress=Progress(stage="diffuse", fraction=n / 400))
            if n % 50 == 0:
                await store.append_event(job.id, "preview", {"n": n})
        stream = await store.events(job.id, after=0)
        assert [event.data["status"] for event in stream if event.type == "status"] == ["pending", "processing"]
        assert [event.data["n"] for event in stream if event.type == "preview"] == [350]
        progress = [event.data["progress"] for event in stream if event.type == "progress"]
        assert 200 < len(progress) <= 257
        assert progress[-1] == 399 / 400


async def test_a_closed_store_is_not_ready(tmp_path: Path) -> None:
    async with opened(tmp_path / "jobs.db") as store:
        store._write_connection.close()
        with pytest.raises(NotReady):
            await store.add(sample_job())
