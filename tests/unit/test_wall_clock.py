"""The time of day may be set at any moment: who reads it, and that a whole service does not mind."""

from __future__ import annotations

import ast
import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from api.codec import PillowCodec
from api.context import ApiContext
from api.security import install_guards
from api.video.codec import make_video_codec
from composition.config import Config
from composition.jobs import Job
from jobs.blobs.memory_blobs import MemoryBlobStore
from jobs.queues.embedded_queue import EmbeddedJobQueue
from jobs.stores.sqlite_store import SqliteJobStore
from tests.fakes.fake_fetcher import FakeFetcher
from tests.fakes.fake_job_handler import FakeJobHandler
from tests.fakes.fake_model_health import FakeModelHealth
from tests.fakes.lora_library import lora_library
from tests.unit.api.images import photo
from tests.unit.jobs.job_samples import ManualClock

ROOT = Path(__file__).parents[2]
READERS = {
    "api/openai/answers.py",  # the moment that an answer names
    "jobs/blobs/file_blobs.py",  # ages, of which Housekeeping takes two looks
    "jobs/blobs/memory_blobs.py",
    "jobs/blobs/redis_blobs.py",
    "jobs/blobs/s3_blobs.py",
    "composition/loras/library.py",  # when a file came, for its owner
    "jobs/loras/kept_loras.py",  # rests of uploads, an hour old where several nodes have clocks
    "jobs/loras/redis_lora_files.py",
    "jobs/queues/webhooks.py",  # the timestamp that is signed
    "jobs/stores/memory_store.py",  # what jobs.stores.clocks is for
    "jobs/stores/sqlite_store.py",
}
OF_THE_WALL = {"time.time", "time.time_ns", "time.localtime", "time.gmtime", "datetime.now", "datetime.utcnow"}


def reads_the_wall_clock(path: Path) -> bool:
    return any(
        isinstance(node, ast.Attribute) and ast.unparse(node) in OF_THE_WALL | {f"datetime.{n}" for n in OF_THE_WALL}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )


def test_the_wall_clock_is_read_only_where_it_is_known_not_to_decide():
    modules = [path for folder in ("api", "composition", "jobs", "runners") for path in (ROOT / folder).rglob("*.py")]
    modules += [ROOT / "service.py", ROOT / "worker.py"]
    assert {str(path.relative_to(ROOT)) for path in modules if reads_the_wall_clock(path)} == READERS


class SweptStore(SqliteJobStore):
    """Has its clock set at the worst moment: between the last heartbeat and the judgement of the leases."""

    def __init__(self, path: Path, *, clock: ManualClock) -> None:
        super().__init__(path, clock=clock)
        self._set_clock_by = clock.set_by
        self.step_s = 0.0
        self.stepped = asyncio.Event()

    async def sweep(self, *, result_ttl_s: float) -> tuple[Job, ...]:
        stepping, self.step_s = self.step_s, 0.0
        self._set_clock_by(stepping)
        ended = await super().sweep(result_ttl_s=result_ttl_s)
        if stepping:
            self.stepped.set()
        return ended


Served = tuple[httpx.AsyncClient, FakeJobHandler, SweptStore]


@contextlib.asynccontextmanager
async def served(folder: Path, clock: ManualClock) -> AsyncIterator[Served]:
    """The whole service but its models, with leases of a second and a time of day that the test sets."""
    config = Config.model_validate(
        {"api": {"rate_limit_per_minute": 20}, "limits": {"request_timeout_seconds": 30}, "queue": {"max_attempts": 1}}
    )
    blobs = MemoryBlobStore(clock=clock)
    handler = FakeJobHandler(blobs, held=True)
    store = SweptStore(folder / "jobs.db", clock=clock)
    queue = EmbeddedJobQueue(store, handler, blobs, concurrency=3, lease_s=1.0, result_ttl_s=600)
    await queue.start()
    app = create_app(
        ApiContext(
            config=config, queue=queue, blobs=blobs, codec=PillowCodec(max_side_px=512),
            videos=make_video_codec(config), fetcher=FakeFetcher(), health=FakeModelHealth(), loras=lora_library(),
        )
    )  # fmt: skip
    install_guards(app, config.api)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://service") as client:
        yield client, handler, store
    await queue.stop(grace_s=0)


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
async def test_a_step_of_the_clock_costs_no_job_and_runs_none_twice(tmp_path: Path, step_s: float) -> None:
    clock = ManualClock()
    async with asyncio.timeout(30), served(tmp_path, clock) as (client, handler, store):
        body = {"base_image": photo(), "prompt": "a red hat"}
        waiting = asyncio.create_task(client.post("/api/v1/generate", json=body))
        await handler.until_started(1)
        ids = [(await client.post("/api/v1/generate/async", json=body)).json()["job_id"] for _ in range(5)]
        await handler.until_started(3)
        store.step_s = step_s
        await store.stepped.wait()
        assert (len(handler.started), handler.stopped) == (3, [])
        handler.gate.set()
        answer = await waiting
        streams = [(await client.get(f"/api/v1/jobs/{job_id}/events")).text for job_id in ids]
        jobs = [(await client.get(f"/api/v1/status/{job_id}")).json() for job_id in ids]
    assert answer.status_code == 200
    assert [(job["status"], job["attempt"]) for job in jobs] == [("completed", 1)] * 5
    assert all(job["result"] for job in jobs)
    assert [stream.count('"status": "completed"') for stream in streams] == [1] * 5
    assert set(handler.runs.values()) == {1}


async def test_a_rate_limit_is_counted_by_the_clock_that_only_runs(tmp_path: Path) -> None:
    clock = ManualClock()
    async with served(tmp_path, clock) as (client, _, _):
        statuses = []
        for step_s in (0.0, 3600.0, -7200.0):
            clock.set_by(step_s)
            statuses += [(await client.post("/api/v1/generate", json={})).status_code for _ in range(10)]
    assert statuses[:20] == [400] * 20
    assert statuses[20:].count(429) >= 8
