"""The queue inside the front service: submit -> store -> claim -> handler, all in one event loop.

Nothing else needs to be installed. It is the only process that runs its store's jobs, so at its start every lease is
void and what was running is recovered at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import time
import uuid
from collections.abc import Awaitable, Callable

from composition.errors import NotReady, QueueFull
from composition.jobs import Job, Priority
from composition.ports.codec import ImageCodec
from composition.ports.observation import NO_JOB_OBSERVER, JobObserver
from composition.ports.queue import BlobStore, JobHandler
from jobs.protocol.job_store import JobStore
from jobs.queues.store_queue import StoreJobQueue
from jobs.queues.webhooks import WebhookSender
from jobs.worker.attempt import AttemptSettings
from jobs.worker.housekeeping import Housekeeping
from jobs.worker.worker import Worker

logger = logging.getLogger(__name__)

STOP_WAIT_S = 5.0
"""How long a handler that was told to stop may take; then the lease decides."""
IDLE_POLL_S = 1.0
"""How late a delayed retry may start; new jobs start at once."""


class EmbeddedJobQueue(StoreJobQueue):
    """Runs up to `concurrency` jobs at a time in this process; 0 accepts without running."""

    def __init__(
        self,
        store: JobStore,
        handler: JobHandler,
        blobs: BlobStore,
        *,
        concurrency: int = 3,
        lease_s: float = 15.0,
        result_ttl_s: float = 86_400.0,
        retry_delay_s: float = 5.0,
        webhooks: WebhookSender | None = None,
        preview_codec: ImageCodec | None = None,
        observer: JobObserver = NO_JOB_OBSERVER,
        ready: Callable[[], Awaitable[bool]] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """The times are seconds; `webhooks` None leaves callbacks unsent, `preview_codec` None drops previews.

        Until `ready`, if given, has once been true no job is started: models that are still being loaded would take of
        its time.
        Who would wait for an answer is refused until then.
        """
        super().__init__(store, blobs, recheck_s=None)
        self._concurrency = concurrency
        self._work = asyncio.Event()
        self._dispatcher: asyncio.Task[None] | None = None
        self._webhooks = webhooks
        self._ready, self._loaded = ready, ready is None
        self._looking: asyncio.Task[bool] | None = None
        self._housekeeping = Housekeeping(
            store, blobs, result_ttl_s=result_ttl_s, interval_s=min(lease_s / 3, 5.0), grace_after_outage_s=lease_s,
            on_ended=self._on_swept,
        )  # fmt: skip
        self._worker = Worker(
            store, blobs, handler, self._housekeeping,
            worker_id=f"embedded-{os.getpid()}-{uuid.uuid4().hex[:8]}",
            settings=AttemptSettings(lease_s=lease_s, retry_delay_s=retry_delay_s),
            on_change=self._signals.changed, on_ended=self._on_attempt_ended,
            preview_codec=preview_codec, observer=observer, monotonic=monotonic,
        )  # fmt: skip

    async def start(self) -> None:
        """Open the store, recover what a crash left, then run.

        Raises:
            ConfigError: the store is another process's, or cannot be used.
        """
        await self._store.open()
        await self._blobs.open()
        for job in await self._store.recover():
            logger.warning("job %s is %s after a restart", job.id, job.status.value)
        self._accepting = True
        self._dispatcher = asyncio.create_task(self._dispatch())
        self._housekeeping.start()
        if self._webhooks is not None:
            self._webhooks.start()

    async def stop(self, *, grace_s: float) -> None:
        """Wind down, then close the store."""
        await self.wind_down(grace_s=grace_s)
        if self._background:
            await asyncio.wait(self._background, timeout=STOP_WAIT_S)
        await self._housekeeping.stop()
        if self._webhooks is not None:
            await self._webhooks.stop()
        await self._store.close()

    async def submit(self, job: Job) -> Job:
        """As `StoreJobQueue.submit`; a refusal says when a place is likely to be free.

        Raises: NotReady: an interactive job, and the models are still being loaded.
        """
        if job.priority is Priority.INTERACTIVE and not await self._are_loaded():
            raise NotReady("the models are still being loaded")
        try:
            return await super().submit(job)
        except QueueFull as full:
            raise self._with_estimate(full) from full

    async def check_room(self) -> None:
        """As `StoreJobQueue.check_room`; a refusal says when a place is likely to be free."""
        try:
            await super().check_room()
        except QueueFull as full:
            raise self._with_estimate(full) from full

    def _with_estimate(self, full: QueueFull) -> QueueFull:
        wait_s = max(1, math.ceil(self._worker.mean_run_s / max(1, self._concurrency)))
        return QueueFull(full.message, details=full.details, retry_after_s=wait_s)

    def _stop(self, job: Job) -> None:
        self._worker.stop_job(job.id)

    def _accepted(self, job: Job) -> None:
        self._work.set()

    async def _wind_down(self, grace_s: float) -> None:
        self._work.set()
        if self._dispatcher is not None:
            await self._dispatcher
        self._signals.all_changed()
        await self._worker.wind_down(grace_s=grace_s)
        await self._worker.until_idle(timeout_s=STOP_WAIT_S)

    def _may_still_end(self, job_id: str) -> bool:
        return self._worker.runs(job_id)

    async def _dispatch(self) -> None:
        await self._until_ready()
        away = False
        while self._accepting:
            self._work.clear()
            try:
                while self._accepting and self._worker.running < self._concurrency:
                    if await self._worker.start_next() is None:
                        break
                away = False
            except NotReady as error:
                if not away:
                    logger.warning("no job is started for now: %s", error)
                away = True
            except Exception:  # nothing may end the only task that starts jobs
                logger.exception("no job could be started")
            await self._until_work()

    async def _until_ready(self) -> None:
        while self._accepting:
            self._work.clear()
            if await self._are_loaded():
                return
            await self._until_work()

    async def _are_loaded(self) -> bool:
        """Whether the models have been ready; who asks while it is being found out shares that look."""
        if self._loaded:
            return True
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return await asyncio.shield(self._looking)

    async def _look(self) -> bool:
        try:
            self._loaded = self._ready is None or await self._ready()
        except Exception:  # nothing may end the only task that starts jobs
            logger.exception("whether the models are loaded cannot be told")
        if self._loaded:
            self._work.set()
        return self._loaded

    async def _until_work(self) -> None:
        """Until something may be to do, at most a poll's time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IDLE_POLL_S):
                await self._work.wait()

    def _on_attempt_ended(self, job_id: str) -> None:
        self._waited_for.discard(job_id)
        self._work.set()
        if self._webhooks is not None:
            self._webhooks.wake()

    def _on_swept(self, job: Job) -> None:
        self._announce(job)
        self._work.set()
