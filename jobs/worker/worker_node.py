"""A process that runs jobs of a shared store: ticket -> claim -> handler -> publish; heartbeats tell that it lives.

Knows nothing of Celery: `jobs.worker.celery_worker` calls `run_next` once per ticket.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from redis.asyncio import Redis

from composition.errors import CompositionError, NotReady
from composition.ports.codec import ImageCodec
from composition.ports.diffuser import ModelHealth
from composition.ports.observation import NO_JOB_OBSERVER, JobObserver
from composition.ports.queue import BlobStore, JobHandler
from jobs.queues.tickets import Tickets
from jobs.redis_connection import reply, translated
from jobs.stores.redis_store import RedisJobStore
from jobs.worker.attempt import AttemptSettings
from jobs.worker.housekeeping import Housekeeping
from jobs.worker.worker import Worker

logger = logging.getLogger(__name__)

PRESENCE_S = 2.0
TICKET_CHECK_S = 1.0
RECONNECT_S = 0.5


@dataclass(frozen=True, kw_only=True)
class WorkerParts:
    """What a worker is made of; built inside its event loop. `close` frees what `handler` and `health` hold."""

    redis: Redis
    store: RedisJobStore
    blobs: BlobStore
    tickets: Tickets
    handler: JobHandler
    health: ModelHealth
    close: Callable[[], Awaitable[None]]
    preview_codec: ImageCodec | None = None
    observer: JobObserver = NO_JOB_OBSERVER


class WorkerNode:
    """Lives in one event loop."""

    def __init__(self, parts: WorkerParts, *, settings: AttemptSettings, result_ttl_s: float, concurrency: int) -> None:
        self.worker_id = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._parts = parts
        self._concurrency = concurrency
        self._housekeeping = Housekeeping(
            parts.store, parts.blobs, result_ttl_s=result_ttl_s, interval_s=settings.lease_s / 3,
            grace_after_outage_s=settings.lease_s, on_ended=lambda job: None,
        )  # fmt: skip
        self._worker = Worker(
            parts.store, parts.blobs, parts.handler, self._housekeeping,
            worker_id=self.worker_id, settings=settings, on_change=_nobody_waits_here, on_ended=_nobody_waits_here,
            preview_codec=parts.preview_codec, observer=parts.observer,
        )  # fmt: skip
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to look after the store, in the running event loop."""
        loops = (self._follow(), self._replace_lost_tickets(), self._be_present())
        self._tasks = [asyncio.create_task(loop) for loop in loops]
        self._housekeeping.start()

    async def run_next(self) -> bool:
        """Run the next job to its outcome; False when there is none, or the store is away (its ticket is replaced)."""
        try:
            run = await self._worker.start_next()
        except NotReady:
            return False
        if run is None:
            return False
        await run
        return True

    async def wind_down(self, *, grace_s: float) -> None:
        """Start nothing more; hand back what has not ended after the grace time."""
        await self._worker.wind_down(grace_s=grace_s)

    async def stop(self) -> None:
        """End; `wind_down` came before."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._housekeeping.stop()
        try:
            async with translated():
                await reply(self._parts.redis.hdel(self._parts.store.keys.workers, self.worker_id))
        except NotReady:
            logger.warning("redis is away, this worker's presence lapses by itself")
        self._parts.tickets.close()
        await self._parts.close()
        await self._parts.store.close()

    async def _follow(self) -> None:
        """A cancelled job's handler stops at once, not at its next heartbeat."""
        while True:
            try:
                async for job_id in self._parts.store.changes():
                    if self._worker.runs(job_id):
                        await self._stop_if_cancelled(job_id)
            except NotReady:
                await asyncio.sleep(RECONNECT_S)

    async def _stop_if_cancelled(self, job_id: str) -> None:
        try:
            job = await self._parts.store.get(job_id)
        except CompositionError:
            return
        if job.cancel_requested:
            self._worker.stop_job(job_id)

    async def _replace_lost_tickets(self) -> None:
        while True:
            try:
                await self._parts.tickets.replace_lost()
            except NotReady:
                logger.warning("redis is away, running jobs go on")
            await asyncio.sleep(TICKET_CHECK_S)

    async def _be_present(self) -> None:
        while True:
            try:
                health = dict(await self._parts.health.health())
                health |= {"running": self._worker.running, "concurrency": self._concurrency}
                async with translated():
                    seconds, _ = await self._parts.redis.time()
                    health["at"] = int(seconds)
                    await reply(
                        self._parts.redis.hset(self._parts.store.keys.workers, self.worker_id, json.dumps(health))
                    )
            except CompositionError as error:
                logger.warning("no sign of presence: %s", error)
            await asyncio.sleep(PRESENCE_S)


def _nobody_waits_here(job_id: str) -> None:
    """Waiters are at the API nodes; the store tells them."""
