"""A worker dies in the middle of a clip: the next one goes on after the last finished frame, and nothing is left."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from api.codec import PillowCodec
from composition.execution import EditJobHandler
from composition.jobs import JobStatus
from jobs.blobs.file_blobs import FolderBlobStore
from jobs.stores.sqlite_store import SqliteJobStore
from jobs.worker.attempt import AttemptSettings
from jobs.worker.housekeeping import Housekeeping
from jobs.worker.worker import Worker
from tests.unit.api.video.clips import clip
from tests.unit.composition.conftest import Bench
from tests.unit.composition.test_video import Flickers, drive, table
from tests.unit.composition.test_video_execution import VIDEOS, job_of

LONG_S = 1e6
FRAMES = 7


class Stalls(Flickers):
    """Never ends its second request."""

    def __init__(self) -> None:
        super().__init__(0)

    async def diffuse(self, request: Any) -> Any:
        if self.requests:
            await asyncio.Event().wait()
        async for event in super().diffuse(request):
            yield event


class Machine:
    """One process with its worker, over files that outlive it."""

    def __init__(self, folder: Path, diffuser: Any) -> None:
        self.store, self.blobs = SqliteJobStore(folder / "jobs.db", max_pending=99), FolderBlobStore(folder / "blobs")
        self.diffuser = diffuser
        bench = table(Bench, window=3, diffuser=diffuser)
        handler = EditJobHandler(
            editor=bench.editor, blobs=self.blobs, codec=PillowCodec(max_side_px=2048), videos=VIDEOS
        )
        self.housekeeping = Housekeeping(
            self.store, self.blobs, result_ttl_s=LONG_S, interval_s=LONG_S, grace_after_outage_s=LONG_S,
            on_ended=lambda job: None,
        )  # fmt: skip
        self.worker = Worker(
            self.store, self.blobs, handler, self.housekeeping, worker_id="w",
            settings=AttemptSettings(lease_s=LONG_S, progress_interval_s=0.01, publish_timeout_s=0.1),
            on_change=lambda job_id: None,
            on_ended=lambda job_id: None,
        )  # fmt: skip

    async def until(self, job_id: str, condition: Callable[[Any], bool]) -> Any:
        async with asyncio.timeout(120):
            while not condition(job := await self.store.get(job_id)):  # noqa: ASYNC110  it waits for what is in the store
                await asyncio.sleep(0.02)
        return job


@pytest.mark.parametrize("end", ["crash", "cancel"])
async def test_a_clip_outlives_its_worker_and_leaves_its_result_alone(tmp_path: Path, end: str) -> None:
    first = Machine(tmp_path, Stalls())
    await first.store.open()
    job = await first.store.add(await job_of(first.blobs, clip("webp", drive(FRAMES)), FRAMES))
    run = await first.worker.start_next()
    assert run is not None
    held = await first.until(job.id, lambda one: one.checkpoint is not None)
    assert len(held.checkpoint.frame_keys) == 3
    if end == "cancel":
        await first.store.cancel(job.id)
        first.worker.stop_job(job.id)
        await run
        await first.housekeeping.collect_garbage()
        assert [path for path in (tmp_path / "blobs").glob("*/*") if path.is_file()] == []
        await first.store.close()
        return
    lost = run
    await first.store.close()  # nothing that the process still does reaches its files

    second = Machine(tmp_path, Flickers(0))
    await second.store.open()
    await second.store.recover()
    run = await second.worker.start_next()
    assert run is not None
    await run
    ended = await second.store.get(job.id)
    assert (ended.status, ended.error) == (JobStatus.COMPLETED, None)
    assert [len(request.regions) for request in second.diffuser.requests] == [3, 1]
    await second.housekeeping.collect_garbage()
    left = {path.name for path in (tmp_path / "blobs").glob("*/*") if path.is_file()}
    assert left == set(ended.result.blob_keys)
    frames = list(VIDEOS.frames(await second.blobs.get(ended.result.video_key)))
    assert len(frames) == FRAMES
    shown = np.array(PillowImage.open(io.BytesIO(await second.blobs.get(ended.result.image_key))))
    assert np.array_equal(shown, frames[0].image)
    await second.store.close()
    await first.worker.wind_down(grace_s=0)
    await asyncio.gather(lost, return_exceptions=True)
