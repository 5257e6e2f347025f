"""A `JobHandler` whose every step is in the test's hand."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from composition.jobs import Job, JobResult
from composition.ports.queue import BlobStore, ProgressListener
from composition.result import Progress


@dataclass
class FakeJobHandler:
    """Answers with `image of <prompt>`; an error queued for a prompt is raised instead, once.

    With `held`, a job waits until `gate` is set. `running` and `most_at_once` count, `started` and `stopped` list
    job ids in order.
    """

    blobs: BlobStore
    held: bool = False
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    errors: dict[str, list[Exception]] = field(default_factory=dict)
    reports: tuple[Progress, ...] = (Progress(stage="diffuse", fraction=0.5, step=1, total_steps=2),)
    started: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    runs: Counter[str] = field(default_factory=Counter)
    running: int = 0
    most_at_once: int = 0
    began: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def __call__(self, job: Job, listen: ProgressListener) -> JobResult:
        self.started.append(job.id)
        self.runs[job.id] += 1
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        async with self.began:
            self.began.notify_all()
        try:
            for report in self.reports:
                listen(report)
            if self.held:
                await self.gate.wait()
            if waiting := self.errors.get(job.payload.prompt):
                raise waiting.pop(0)
            return await self._result(job)
        except asyncio.CancelledError:
            self.stopped.append(job.id)
            raise
        finally:
            self.running -= 1
            async with self.began:
                self.began.notify_all()

    async def until_started(self, count: int) -> None:
        """Wait until that many attempts have begun."""
        async with self.began:
            await self.began.wait_for(lambda: len(self.started) >= count)

    async def until_idle(self) -> None:
        """Wait until nothing runs."""
        async with self.began:
            await self.began.wait_for(lambda: self.running == 0)

    async def _result(self, job: Job) -> JobResult:
        image_key = await self.blobs.put(f"image of {job.payload.prompt}".encode())
        account = {
            "pipeline_used": "simple",
            "models_used": ["sd-inpainting"],
            "processing_time_ms": 1,
            "metadata": {"seed_used": 7},
        }
        return JobResult(image_key=image_key, image_media_type="image/png", mask_key=None, account=account)
