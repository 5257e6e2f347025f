"""The queue of an API node in the distributed mode: jobs go to Redis, workers elsewhere run them.

submit -> Redis -> ticket -> (worker) claim -> handler. This process never runs a handler and loads no model.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from composition.errors import CompositionError, NotReady
from composition.jobs import Job
from composition.ports.queue import BlobStore
from jobs.queues.store_queue import StoreJobQueue
from jobs.queues.tickets import Tickets
from jobs.queues.webhooks import WebhookSender
from jobs.stores.redis_store import RedisJobStore
from jobs.worker.housekeeping import Housekeeping

logger = logging.getLogger(__name__)

RECHECK_S = 2.0
TICKET_CHECK_S = 1.0
RECONNECT_S = 0.5


class CeleryJobQueue(StoreJobQueue):
    """Every API node has one; they share the store."""

    def __init__(
        self,
        store: RedisJobStore,
        blobs: BlobStore,
        tickets: Tickets,
        *,
        result_ttl_s: float = 86_400.0,
        lease_s: float = 15.0,
        webhooks: WebhookSender | None = None,
    ) -> None:
        """`lease_s` is the workers'; `webhooks` None leaves callbacks to another node."""
        super().__init__(store, blobs, recheck_s=RECHECK_S)
        self._redis_store = store
        self._tickets = tickets
        self._webhooks = webhooks
        self._housekeeping = Housekeeping(
            store, blobs, result_ttl_s=result_ttl_s, interval_s=lease_s / 3,
            grace_after_outage_s=lease_s, on_ended=self._announce,
        )  # fmt: skip
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Redis may still be away: submissions are refused until it answers."""
        await self._store.open()
        await self._blobs.open()
        self._accepting = True
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._look_after())]
        self._housekeeping.start()
        if self._webhooks is not None:
            self._webhooks.start()

    async def stop(self, *, grace_s: float) -> None:
        """Wind down, then close the store."""
        await self.wind_down(grace_s=grace_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._background, return_exceptions=True)
        await self._housekeeping.stop()
        if self._webhooks is not None:
            await self._webhooks.stop()
        self._tickets.close()
        await self._store.close()

    async def wait(self, job_id: str) -> Job:
        """As `StoreJobQueue.wait`, also when Redis is away for a while."""
        while True:
            try:
                job = await super().wait(job_id)
            except NotReady:
                self._check_not_given_up(job_id)
                await asyncio.sleep(RECONNECT_S)
            else:
                self._waited_for.discard(job_id)
                return job

    async def _wind_down(self, grace_s: float) -> None:
        """Jobs run on elsewhere; those that this node's clients wait for get the grace time."""
        with contextlib.suppress(TimeoutError, CompositionError):
            async with asyncio.timeout(grace_s):
                await asyncio.gather(*(self.wait(job_id) for job_id in tuple(self._waited_for)))

    def _may_still_end(self, job_id: str) -> bool:
        return job_id in self._waited_for

    def _accepted(self, job: Job) -> None:
        task = asyncio.create_task(self._tickets.send())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _follow(self) -> None:
        """Wake waiters when any process changes a job."""
        while True:
            try:
                async for job_id in self._redis_store.changes():
                    self._signals.changed(job_id)
            except NotReady:
                await asyncio.sleep(RECONNECT_S)
            self._signals.all_changed()

    async def _look_after(self) -> None:
        """Say who is waited for; replace lost tickets."""
        while True:
            try:
                await self._redis_store.keep_waiting(tuple(self._waited_for))
                await self._tickets.replace_lost()
            except NotReady:
                logger.warning("redis is away")
            await asyncio.sleep(TICKET_CHECK_S)
