"""Runs jobs of a store in this process: **claim** -> attempt -> outcome, until it is wound down.

One for the embedded queue and for a Celery worker; they differ in what makes them ask for the next job.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable

from composition.ports.codec import ImageCodec
from composition.ports.observation import NO_JOB_OBSERVER, JobObserver
from composition.ports.queue import BlobStore, JobHandler
from jobs.protocol.job_store import JobStore
from jobs.worker.attempt import Attempt, AttemptSettings, Interruption
from jobs.worker.housekeeping import Housekeeping

FIRST_MEAN_RUN_S = 10.0
_WEIGHT_OF_THE_NEWEST = 0.2


class Worker:
    """Lives in one event loop. Runs as many jobs at a time as it is asked for.

    Attributes:
        mean_run_s: how long an attempt takes, the newest counting most.
    """

    def __init__(
        self,
        store: JobStore,
        blobs: BlobStore,
        handler: JobHandler,
        housekeeping: Housekeeping,
        *,
        worker_id: str,
        settings: AttemptSettings,
        on_change: Callable[[str], None],
        on_ended: Callable[[str], None],
        preview_codec: ImageCodec | None = None,
        observer: JobObserver = NO_JOB_OBSERVER,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Wire a worker.

        Args:
            store: where jobs are claimed and their outcomes written.
            blobs: of their images.
            handler: runs one job.
            housekeeping: is woken by every end, to delete what is not needed any more.
            worker_id: names this worker in the store; unique.
            settings: of every attempt.
            on_change: called with a job's id after every write.
            on_ended: called with a job's id when an attempt at it has ended, whatever became of the job.
            preview_codec: encodes previews for the event stream, if any.
            observer: is told of every attempt.
            monotonic: seconds.
        """
        self._store = store
        self._blobs = blobs
        self._handler = handler
        self._housekeeping = housekeeping
        self._worker_id = worker_id
        self._settings = settings
        self._on_change = on_change
        self._on_ended = on_ended
        self._preview_codec = preview_codec
        self._observer = observer
        self._monotonic = monotonic
        self._runs: dict[Attempt, asyncio.Task[None]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._winding_down = False
        self._grace_is_over = False
        self.mean_run_s = FIRST_MEAN_RUN_S

    @property
    def running(self) -> int:
        """Attempts in flight."""
        return len(self._runs)

    def runs(self, job_id: str) -> bool:
        """Whether an attempt at this job is in flight here."""
        return any(True for _ in self._attempts_at(job_id))

    async def start_next(self) -> asyncio.Task[None] | None:
        """Claim the next job and start it: the task ends with the attempt. None when nothing waits, or winding down.

        Raises:
            NotReady: the store is away.
        """
        if self._winding_down:
            return None
        claim = await self._store.claim(worker_id=self._worker_id, lease_s=self._settings.lease_s)
        if claim is None:
            return None
        attempt = Attempt(
            claim, store=self._store, blobs=self._blobs, handler=self._handler, settings=self._settings,
            on_change=self._on_change, preview_codec=self._preview_codec, observer=self._observer,
        )  # fmt: skip
        if self._grace_is_over:
            attempt.interrupt(Interruption.SHUTDOWN)
        run = self._runs[attempt] = asyncio.create_task(self._run(attempt))
        self._idle.clear()
        self._on_change(claim.job.id)
        return run

    def stop_job(self, job_id: str) -> None:
        """Its owner cancelled it: its handler stops at once, not at the next heartbeat."""
        for attempt in self._attempts_at(job_id):
            attempt.interrupt(Interruption.NOT_OURS)

    async def wind_down(self, *, grace_s: float) -> None:
        """Start nothing more; hand back what has not ended after the grace time."""
        self._winding_down = True
        await self.until_idle(timeout_s=grace_s)
        self._grace_is_over = True
        for attempt in self._runs:
            attempt.interrupt(Interruption.SHUTDOWN)

    async def until_idle(self, *, timeout_s: float) -> None:
        """Until nothing runs, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()

    async def _run(self, attempt: Attempt) -> None:
        began = self._monotonic()
        try:
            await attempt.run()
        finally:
            self.mean_run_s += _WEIGHT_OF_THE_NEWEST * (self._monotonic() - began - self.mean_run_s)
            del self._runs[attempt]
            if not self._runs:
                self._idle.set()
            self._housekeeping.wake()
            self._on_ended(attempt.job.id)

    def _attempts_at(self, job_id: str) -> Iterable[Attempt]:
        """More than one when this worker lost a lease and claimed the job again."""
        return (attempt for attempt in self._runs if attempt.job.id == job_id)
