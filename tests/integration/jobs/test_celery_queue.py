"""An API node's queue and real Celery workers, each a process, around a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from composition.config import QueueConfig
from composition.errors import NotReady
from composition.jobs import Job, JobStatus
from jobs.blobs.redis_blobs import RedisBlobStore
from jobs.queues.celery_app import create_celery_app
from jobs.queues.celery_queue import CeleryJobQueue
from jobs.queues.fleet_health import FleetHealth
from jobs.queues.tickets import Tickets
from jobs.redis_connection import connect
from jobs.stores.redis_store import RedisJobStore
from tests.integration.jobs.redis_server import RedisServer
from tests.unit.jobs.job_samples import sample_job

LEASE_S = 2.0
VISIBILITY_S = 3.0
REPOSITORY = Path(__file__).parents[3]


class Workers:
    """Celery workers as processes."""

    def __init__(self, redis_url: str, folder: Path) -> None:
        self.log = folder / "worker-log"
        self.log.touch()
        self._folder = folder
        self._redis_url = redis_url
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(
        self, *, job_s: float, concurrency: int = 2, grace_s: float = 5.0, lease_s: float = LEASE_S
    ) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "COMPOSITION_QUEUE__REDIS_URL": self._redis_url,
            "COMPOSITION_QUEUE__LEASE_S": str(lease_s),
            "COMPOSITION_QUEUE__VISIBILITY_TIMEOUT_S": str(VISIBILITY_S),
            "COMPOSITION_QUEUE__SHUTDOWN_GRACE_S": str(grace_s),
            "COMPOSITION_LIMITS__REQUEST_TIMEOUT_SECONDS": str(VISIBILITY_S / 2),
            "COMPOSITION_LIMITS__MAX_CONCURRENT_REQUESTS": str(concurrency),
            "STAND_IN_JOB_S": str(job_s),
            "STAND_IN_LOG": str(self.log),
        }
        output = (self._folder / f"worker-{len(self.processes)}.txt").open("wb")
        command = [sys.executable, "-m", "celery", "-A", "tests.integration.jobs.stand_in_worker", "worker"]
        process = subprocess.Popen(
            [*command, "--without-gossip", "--without-mingle", "-l", "INFO"],
            cwd=REPOSITORY, env=environment, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        output.close()
        self.processes.append(process)
        return process

    def lines(self, what: str) -> list[tuple[int, str]]:
        rows = (line.split() for line in self.log.read_text().splitlines())
        return [(int(pid), job_id) for pid, kind, job_id in rows if kind == what]

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


@pytest.fixture
def workers(redis_server: RedisServer, tmp_path: Path) -> Iterator[Workers]:
    started = Workers(redis_server.url, tmp_path)
    yield started
    started.stop()
    for path in tmp_path.glob("worker-*.txt"):
        print(path.read_text()[-3000:])


class Node:
    """One API node."""

    def __init__(self, url: str) -> None:
        self.redis = connect(url)
        self.store = RedisJobStore(self.redis, max_pending=100, wait_lease_s=4.0)
        self.blobs = RedisBlobStore(self.redis)
        app = create_celery_app(QueueConfig(redis_url=url, visibility_timeout_s=VISIBILITY_S), concurrency=1)
        tickets = Tickets(app, self.redis, self.store)
        self.queue = CeleryJobQueue(self.store, self.blobs, tickets, lease_s=LEASE_S)
        self.health = FleetHealth(self.redis)

    async def submit(self, prompt: str = "blue car", **fields: object) -> Job:
        key = await self.blobs.put(prompt.encode())
        return await self.queue.submit(sample_job(prompt, base_key=key, **fields))


@contextlib.asynccontextmanager
async def node_of(server: RedisServer) -> AsyncIterator[Node]:
    node = Node(server.url)
    await node.queue.start()
    try:
        yield node
    finally:
        await node.queue.stop(grace_s=0)


async def until(condition: Callable[[], bool], *, timeout_s: float = 300.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  the condition is another process's
            await asyncio.sleep(0.05)


async def all_done(node: Node, jobs: list[Job], *, timeout_s: float = 300.0) -> list[Job]:
    async with asyncio.timeout(timeout_s):
        return await asyncio.gather(*(node.queue.wait(job.id) for job in jobs))


async def test_two_workers_share_twenty_jobs_and_each_runs_once(redis_server, workers):
    workers.start(job_s=0.3)
    workers.start(job_s=0.3)
    async with node_of(redis_server) as node:
        jobs = [await node.submit(f"job {n}") for n in range(20)]
        done = await all_done(node, jobs)
        assert {job.status for job in done} == {JobStatus.COMPLETED}
        assert Counter(job_id for _, job_id in workers.lines("start")) == Counter(job.id for job in jobs)
        by_worker = Counter(pid for pid, _ in workers.lines("end"))
        assert sorted(by_worker) == sorted(process.pid for process in workers.processes)
        assert min(by_worker.values()) >= 5
        for job in done:
            assert await node.blobs.get(job.result.image_key) == (
                f"{job.payload.prompt} edited by {job.result.account['by']}".encode()
            )
        health = await node.health.health()
        assert (health["ready"], health["workers"], health["models_loaded"]) == (True, 2, ["stand-in"])
        assert health["gpu_memory_free_mb"] == 200


async def test_a_frozen_worker_s_jobs_are_done_by_the_other_and_the_thawed_one_cannot_overwrite(redis_server, workers):
    frozen = workers.start(job_s=1.0)
    async with node_of(redis_server) as node:
        first = [await node.submit(f"job {n}") for n in range(2)]
        await until(lambda: len(workers.lines("start")) == 2)
        frozen.send_signal(signal.SIGSTOP)
        other = workers.start(job_s=0.2)
        rest = [await node.submit(f"job {n}") for n in range(2, 8)]
        done = await all_done(node, [*first, *rest])
        assert {job.result.account["by"] for job in done} == {other.pid}
        assert [job.attempt for job in done[:2]] == [2, 2]
        await asyncio.sleep(VISIBILITY_S)
        frozen.send_signal(signal.SIGCONT)
        await until(
            lambda: len([1 for pid, _ in workers.lines("stopped") + workers.lines("end") if pid == frozen.pid]) == 2
        )
        for job in done:
            now = await node.store.get(job.id)
            assert (now.status, now.result) == (JobStatus.COMPLETED, job.result)
            assert await node.blobs.get(job.result.image_key)
        assert len(await node.blobs.older_than(0)) == len(done)


async def test_a_killed_worker_s_jobs_are_retried(redis_server, workers):
    victim = workers.start(job_s=1.0)
    async with node_of(redis_server) as node:
        jobs = [await node.submit(f"job {n}") for n in range(4)]
        await until(lambda: len(workers.lines("start")) == 2)
        victim.kill()
        workers.start(job_s=0.1)
        done = await all_done(node, jobs)
        assert [job.status for job in done] == [JobStatus.COMPLETED] * 4
        assert sorted(job.attempt for job in done) == [1, 1, 2, 2]


async def test_cancelling_reaches_the_worker_before_any_heartbeat(redis_server, workers):
    workers.start(job_s=6000.0, lease_s=600.0)  # a heartbeat every 200 s
    async with node_of(redis_server) as node:
        job = await node.submit()
        await until(lambda: len(workers.lines("start")) == 1)
        assert (await node.queue.cancel(job.id, owner="anonymous")).status is JobStatus.CANCELLED
        await until(lambda: len(workers.lines("stopped")) == 1)


async def test_a_newer_job_at_another_node_stops_the_older_one_of_its_session_before_any_heartbeat(
    redis_server, workers
):
    workers.start(job_s=6000.0, lease_s=600.0, concurrency=1)
    async with node_of(redis_server) as here, node_of(redis_server) as there:
        older = await here.submit("older", session="photo")
        waiting = asyncio.create_task(here.queue.wait(older.id))
        await until(lambda: len(workers.lines("start")) == 1)
        newer = await there.submit("newer", session="photo")
        ended = await asyncio.wait_for(waiting, 300)
        assert (ended.status, ended.error.code) == (JobStatus.CANCELLED, "SUPERSEDED")
        await until(lambda: len(workers.lines("start")) == 2)
        assert [job_id for _, job_id in workers.lines("stopped")] == [older.id]
        assert workers.lines("start")[1][1] == newer.id


async def test_a_worker_that_is_asked_to_stop_hands_back_what_it_cannot_finish(redis_server, workers):
    stopped = workers.start(job_s=30.0, grace_s=0.2)
    async with node_of(redis_server) as node:
        job = await node.submit()
        await until(lambda: len(workers.lines("start")) == 1)
        stopped.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(stopped.wait, 20) == 0
        handed_back = await node.store.get(job.id)
        assert (handed_back.status, handed_back.attempt) == (JobStatus.PENDING, 0)
        workers.start(job_s=0.1)
        (done,) = await all_done(node, [job])
        assert (done.status, done.attempt) == (JobStatus.COMPLETED, 1)


async def test_a_worker_that_is_asked_to_stop_finishes_what_fits_into_its_grace_time(redis_server, workers):
    stopped = workers.start(job_s=2.0, grace_s=30.0)
    async with node_of(redis_server) as node:
        job = await node.submit()
        await until(lambda: len(workers.lines("start")) == 1)
        stopped.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(stopped.wait, 30) == 0
        done = await node.store.get(job.id)
        assert (done.status, done.attempt) == (JobStatus.COMPLETED, 1)


async def test_redis_down_refuses_at_once_loses_nothing_and_all_recovers(redis_server, workers):
    workers.start(job_s=2.0, concurrency=1)
    async with node_of(redis_server) as node:
        accepted = [await node.submit(f"job {n}") for n in range(3)]
        async for event in node.queue.events(accepted[0].id, owner="anonymous", after=0):
            if event.type == "progress":
                break
        redis_server.kill()
        # Without waiting for Redis to come back, which it does only below.
        with pytest.raises(NotReady):
            await node.queue.submit(sample_job())
        assert (await node.health.health())["ready"] is False
        await until(lambda: len(workers.lines("end")) == 1)
        redis_server.start()
        done = await all_done(node, accepted)
        assert [job.status for job in done] == [JobStatus.COMPLETED] * 3
        assert done[0].attempt == 1
        later = await node.submit("later")
        assert (await all_done(node, [later]))[0].status is JobStatus.COMPLETED


async def test_an_interactive_job_whose_api_node_died_ends(redis_server):
    async with node_of(redis_server) as node:
        other = Node(redis_server.url)
        key = await other.blobs.put(b"image")
        orphan = await other.store.add(sample_job(base_key=key, interactive=True))
        await other.redis.aclose()
        async with asyncio.timeout(300):
            done = await node.queue.wait(orphan.id)
        assert (done.status, done.error.code) == (JobStatus.FAILED, "NOT_READY")


def test_a_worker_that_cannot_load_its_models_ends_and_takes_no_ticket(
    workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_REFUSES", "1")
    worker = workers.start(job_s=0.1)
    assert worker.wait(300) == 2
    said = next(tmp_path.glob("worker-*.txt")).read_text()
    assert said.splitlines().count("error: sam is missing; run: import it") == 1
    assert "Traceback" not in said
