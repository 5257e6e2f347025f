from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from composition.config import Config, ConfigError, load_config
from composition.errors import QueueFull
from composition.jobs import JobStatus
from composition.ports.queue import BlobStore, JobHandler
from jobs.blobs.blob_stores import open_blob_store
from jobs.opening import open_embedded_queue, webhook_sender
from jobs.queues.embedded_queue import EmbeddedJobQueue
from jobs.stores.memory_store import MemoryJobStore
from jobs.stores.registry import make_job_store
from jobs.stores.sqlite_store import SqliteJobStore
from tests.fakes.fake_fetcher import FakeFetcher
from tests.fakes.fake_job_handler import FakeJobHandler
from tests.unit.jobs.job_samples import ManualClock, sample_job, sample_result


async def loaded() -> bool:
    return True


def opened(config: Config, *, held: bool = False) -> tuple[EmbeddedJobQueue, BlobStore, FakeJobHandler]:
    handlers: list[FakeJobHandler] = []

    def make_handler(blobs: BlobStore) -> JobHandler:
        handlers.append(FakeJobHandler(blobs, held=held))
        return handlers[0]

    queue, blobs = open_embedded_queue(config, make_handler=make_handler, fetcher=FakeFetcher(), ready=loaded)
    return queue, blobs, handlers[0]


def stored_in(folder: Path, **limits: int) -> Config:
    return Config.model_validate(
        {"storage": {"jobs": str(folder / "jobs.db"), "blobs": str(folder / "images")}, "limits": limits}
    )


async def test_what_was_accepted_runs_after_a_restart(tmp_path: Path) -> None:
    queue, blobs, _ = opened(stored_in(tmp_path, max_concurrent_requests=1), held=True)
    await queue.start()
    jobs = [await queue.submit(sample_job(f"job {n}", base_key=await blobs.put(b"in"))) for n in range(3)]
    await queue.stop(grace_s=0)
    queue, blobs, handler = opened(stored_in(tmp_path))
    await queue.start()
    done = await asyncio.gather(*(queue.wait(job.id) for job in jobs))
    await queue.stop(grace_s=1)
    assert [job.status for job in done] == [JobStatus.COMPLETED] * 3
    assert handler.started == [job.id for job in jobs]
    assert await blobs.get(done[0].result.image_key) == b"image of job 0"


async def test_what_ran_in_a_process_that_died_is_recovered_at_once(tmp_path: Path) -> None:
    config = stored_in(tmp_path)
    dead = SqliteJobStore(tmp_path / "jobs.db")
    await dead.open()
    blobs = open_blob_store(str(tmp_path / "images"))
    running = await dead.add(sample_job("ran", base_key=await blobs.put(b"in")))
    assert await dead.claim(worker_id="dead", lease_s=1e6)
    awaited = await dead.add(sample_job(interactive=True, base_key=await blobs.put(b"in")))
    await dead.close()
    queue, _, handler = opened(config)
    await queue.start()
    async with asyncio.timeout(60):
        done = await queue.wait(running.id)
        gone = await queue.wait(awaited.id)
    await queue.stop(grace_s=0)
    assert (done.status, done.attempt) == (JobStatus.COMPLETED, 2)
    assert (gone.status, gone.error.message) == (JobStatus.FAILED, "the service restarted before the job ran")
    assert handler.started == [running.id]


async def test_a_second_front_service_on_the_same_file_is_refused(tmp_path: Path) -> None:
    first, _, _ = opened(stored_in(tmp_path))
    second, _, _ = opened(stored_in(tmp_path))
    await first.start()
    with pytest.raises(ConfigError, match="in use by another process"):
        await second.start()
    await first.stop(grace_s=0)


def test_more_than_one_api_worker_is_refused_at_start_up(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"api\.workers: .* exactly one API worker, got 2; .*celery"):
        load_config(_empty(tmp_path), {"COMPOSITION_API__WORKERS": "2"})
    several = {"COMPOSITION_API__WORKERS": "2", "COMPOSITION_QUEUE__BACKEND": "celery"}
    assert load_config(_empty(tmp_path), several).api.workers == 2


def test_the_refusal_does_not_show_the_keys(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_config(
            _empty(tmp_path), {"COMPOSITION_API__WORKERS": "2", "COMPOSITION_API__API_KEYS": '{"shop": "s3cret-key"}'}
        )
    assert "s3cret-key" not in str(refusal.value)


def test_a_visibility_timeout_shorter_than_a_job_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"queue\.visibility_timeout_s: must be longer"):
        load_config(_empty(tmp_path), {"COMPOSITION_QUEUE__VISIBILITY_TIMEOUT_S": "60"})


def test_durable_jobs_need_durable_images(tmp_path: Path) -> None:
    config = Config.model_validate({"storage": {"jobs": str(tmp_path / "jobs.db"), "blobs": "memory"}})
    with pytest.raises(ConfigError, match=r"storage\.blobs"):
        opened(config)


def test_a_store_that_is_not_known_is_refused_with_those_that_are(tmp_path: Path) -> None:
    config = Config.model_validate({"storage": {"jobs": "oracle://jobs", "blobs": str(tmp_path)}})
    with pytest.raises(ConfigError, match=r"storage\.jobs: oracle:// is not known; a file, or one of file, memory"):
        opened(config)


async def test_a_job_store_is_a_file_unless_its_location_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    for location in (str(path), f"file://{path}"):
        store = make_job_store(location, max_pending=2)
        await store.open()
        await store.add(sample_job())
        await store.close()
    store = make_job_store(str(path), max_pending=2)
    await store.open()
    with pytest.raises(QueueFull):
        await store.add(sample_job())
    await store.close()
    memory = make_job_store("memory", max_pending=1)
    await memory.add(sample_job())
    with pytest.raises(QueueFull):
        await memory.add(sample_job())


def _empty(folder: Path) -> Path:
    path = folder / "empty.yaml"
    path.touch()
    return path


async def test_webhooks_are_signed_and_repeated_as_configured() -> None:
    config = Config.model_validate({"queue": {"webhook_secret": "s3cret", "webhook_attempts": 2}})
    clock = ManualClock()
    store, fetcher = MemoryJobStore(clock=clock), FakeFetcher(post_status=500)
    await store.add(sample_job(callback_url="https://shop.example/hook"))
    claim = await store.claim(worker_id="w", lease_s=10)
    assert claim is not None
    assert await store.complete(claim, sample_result())
    sender = webhook_sender(config, store, fetcher)
    tried = []
    for _ in range(3):
        tried.append(await sender.send_due())
        clock.advance(1e6)
    assert tried == [1, 1, 0]
    assert all("webhook-signature" in headers for _, _, headers in fetcher.posted)
