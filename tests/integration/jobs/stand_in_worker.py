"""A Celery worker whose handler only waits: `celery -A tests.integration.jobs.stand_in_worker worker`.

Settings come from `COMPOSITION_*`; `STAND_IN_JOB_S` is how long a job takes, `STAND_IN_LOG` collects a line
"<pid> <what> <job id>" for every start and end.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from composition.config import load_config
from composition.errors import NotReady
from composition.jobs import Job, JobResult
from composition.ports.queue import BlobStore, ProgressListener
from composition.result import Progress
from jobs.distributed import WorkerModels, celery_worker_app

STEPS = 10


class StandInHealth:
    async def health(self) -> Mapping[str, object]:
        return {"ready": True, "models_loaded": ["stand-in"], "gpu_available": False, "gpu_memory_free_mb": 100}


def note(what: str, job: Job) -> None:
    with Path(os.environ["STAND_IN_LOG"]).open("a") as log:
        log.write(f"{os.getpid()} {what} {job.id}\n")


async def load(blobs: BlobStore) -> WorkerModels:
    if "STAND_IN_REFUSES" in os.environ:
        raise NotReady("sam is missing; run: import it")

    async def handle(job: Job, listen: ProgressListener) -> JobResult:
        note("start", job)
        base = await blobs.get(job.payload.base_key)
        try:
            for step in range(STEPS):
                await asyncio.sleep(float(os.environ["STAND_IN_JOB_S"]) / STEPS)
                listen(Progress(stage="diffuse", fraction=(step + 1) / STEPS, step=step + 1, total_steps=STEPS))
        except asyncio.CancelledError:
            note("stopped", job)
            raise
        note("end", job)
        key = await blobs.put(base + f" edited by {os.getpid()}".encode())
        return JobResult(image_key=key, image_media_type="text/plain", mask_key=None, account={"by": os.getpid()})

    return WorkerModels(handler=handle, health=StandInHealth(), close=nothing)


async def nothing() -> None:
    return None


app = celery_worker_app(load_config(), load)
