"""The service with models that only take time, for `benchmarks.chaos` and `benchmarks.backlog`.

Everything but the models is the product's own: the REST edge, the stores, the queues, the webhooks. `front` is the API
node; `runner` plays a model runner behind it in a process of its own. In the distributed mode the workers are
`celery -A benchmarks.chaos_worker worker`. Settings come from `COMPOSITION_*` and `CHAOS_*`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import uvicorn

from api.app import create_app
from api.codec import make_codec
from api.context import ApiContext
from api.fetcher import GuardedFetcher
from api.video.codec import make_video_codec
from benchmarks.chaos_account import mark_bytes
from benchmarks.chaos_cheats import cheat
from benchmarks.chaos_journal import BEGUN, DONE, STOPPED, Journal, Mark
from composition.config import Config, load_config
from composition.errors import NotReady
from composition.jobs import Job, JobResult
from composition.loras.library import LoraLibrary
from composition.ports.diffuser import ModelHealth
from composition.ports.queue import BlobStore, JobHandler, JobQueue, ProgressListener
from composition.result import Progress
from composition.shutdown import wind_down_when_told
from jobs.loras.opening import open_lora_store
from jobs.opening import open_embedded_queue

if TYPE_CHECKING:
    from celery import Celery

    from jobs.distributed import WorkerModels

STEPS = 20
STALLS = ", overtaken"
"""What a prompt ends with whose first attempt is to be overtaken by the second."""
STALL_LIMIT_S = 20.0


class StandInHealth:
    """Always ready."""

    async def health(self) -> Mapping[str, object]:
        """As the `ModelHealth` port."""
        return {"ready": True, "models_loaded": [], "gpu_available": False, "gpu_memory_free_mb": 0}


def job_seconds() -> float:
    """How long a job takes."""
    return float(os.environ.get("CHAOS_JOB_S", "1"))


async def published(job: Job, blobs: BlobStore, base: bytes, mark: Mark) -> JobResult:
    """What a real edit's account and image hold, with constant values and the attempt's mark."""
    account = {
        "pipeline_used": "simple",
        "models_used": ["sd-inpainting"],
        "processing_time_ms": int(job_seconds() * 1000),
        "metadata": {
            "input_resolution": "256x256",
            "output_resolution": "256x256",
            "seed_used": 7,
            "mark": mark.as_document(),
        },
    }
    image_key = await blobs.put(base + job.payload.prompt.encode() + mark_bytes(mark))
    return JobResult(image_key=image_key, image_media_type="image/png", mask_key=None, account=account)


Paint = Callable[[Job, ProgressListener], Awaitable[None]]


def marked(blobs: BlobStore, paint: Paint, *, stalls: bool) -> JobHandler:
    """A handler that writes down how each attempt went; with `stalls`, some are overtaken just before they are done."""
    journal = Journal.from_environment()

    async def handle(job: Job, listen: ProgressListener) -> JobResult:
        mark = Mark.new(job.id, job.attempt)
        journal.note(BEGUN, mark)
        how = STOPPED
        try:
            base = await blobs.get(job.payload.base_key)
            await paint(job, listen)
            result = await published(job, blobs, base, mark)
            if stalls and job.payload.prompt.endswith(STALLS) and job.attempt == 1:
                stall_until_overtaken(journal, mark)
            how = DONE
        finally:
            journal.note(how, mark)
        return result

    return handle


def handler_in_process(blobs: BlobStore) -> JobHandler:
    """Runs the steps here, as a worker does."""

    async def paint(job: Job, listen: ProgressListener) -> None:
        for step in range(STEPS):
            await asyncio.sleep(job_seconds() / STEPS)
            listen(Progress(stage="diffuse", fraction=(step + 1) / STEPS, step=step + 1, total_steps=STEPS))

    return marked(blobs, paint, stalls=True)


def stall_until_overtaken(journal: Journal, mark: Mark) -> None:
    """Hold this process, heartbeats and all, as a paused machine would, until the next attempt at the job has begun.

    What comes next is the publication: no heartbeat can tell the attempt before it that the job is lost.
    """
    deadline = time.monotonic() + STALL_LIMIT_S
    while time.monotonic() < deadline:
        if any(other.attempt > mark.attempt for other in journal.marks(mark.job_id, BEGUN)):
            return
        time.sleep(0.02)


def handler_behind_runner(blobs: BlobStore, port: int) -> JobHandler:
    """Has the steps run by the runner process; a runner that dies or is away is a transient failure."""

    async def paint(job: Job, listen: ProgressListener) -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError as error:
            raise NotReady("the runner is away") from error
        try:
            for _ in range(STEPS):
                line = await reader.readline()
                if not line.endswith(b"\n"):
                    raise NotReady("the runner died")
                step = int(line)
                listen(Progress(stage="diffuse", fraction=step / STEPS, step=step, total_steps=STEPS))
        except OSError as error:
            raise NotReady("the runner died") from error
        finally:
            writer.close()

    return marked(blobs, paint, stalls=False)


async def run_runner(port: int) -> None:
    """One line per step to every connection."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for step in range(STEPS):
                await asyncio.sleep(job_seconds() / STEPS)
                writer.write(f"{step + 1}\n".encode())
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


async def run_front(port: int, runner_port: int) -> None:
    """The REST service on 127.0.0.1."""
    cheat(os.environ.get("CHAOS_CHEAT", ""))
    config = load_config()
    codec, fetcher = make_codec(config.limits), GuardedFetcher(config.fetch)
    queue, blobs, health = _open(config, fetcher, runner_port)
    await queue.start()
    context = ApiContext(
        config=config,
        queue=queue,
        blobs=blobs,
        codec=codec,
        videos=make_video_codec(config),
        fetcher=fetcher,
        health=health,
        loras=LoraLibrary(config.loras, open_lora_store(config)),
    )
    server = uvicorn.Server(
        uvicorn.Config(create_app(context), host="127.0.0.1", port=port, log_level="warning", access_log=False)
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  uvicorn tells nobody
        await asyncio.sleep(0.01)
    wind_down_when_told(lambda: queue.wind_down(grace_s=config.queue.shutdown_grace_s))
    await serving
    await queue.stop(grace_s=config.queue.shutdown_grace_s)


def _open(config: Config, fetcher: GuardedFetcher, runner_port: int) -> tuple[JobQueue, BlobStore, ModelHealth]:
    if config.queue.backend == "celery":
        from jobs.distributed import open_celery_queue  # only here: Celery is an optional dependency

        return open_celery_queue(config, fetcher=fetcher)
    queue, blobs = open_embedded_queue(
        config,
        make_handler=lambda blobs: handler_behind_runner(blobs, runner_port) if runner_port else _paused,
        fetcher=fetcher,
    )
    return queue, blobs, StandInHealth()


async def _paused(job: Job, listen: ProgressListener) -> JobResult:
    """Without a runner, jobs only wait."""
    never: asyncio.Future[JobResult] = asyncio.get_running_loop().create_future()
    return await never


def celery_app() -> Celery:
    """The worker of the distributed mode."""
    from jobs.distributed import WorkerModels, celery_worker_app

    cheat(os.environ.get("CHAOS_CHEAT", ""))

    async def load(blobs: BlobStore) -> WorkerModels:
        return WorkerModels(handler=handler_in_process(blobs), health=StandInHealth(), close=_nothing)

    return celery_worker_app(load_config(), load)


async def _nothing() -> None:
    return None


if __name__ == "__main__":
    role, *ports = sys.argv[1:]
    asyncio.run(run_runner(int(ports[0])) if role == "runner" else run_front(int(ports[0]), int(ports[1])))
