"""Tells Celery's workers that there are jobs, and replaces tickets that were lost."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from celery import Celery
from kombu.exceptions import KombuError
from kombu.exceptions import OperationalError as BrokerError
from redis.asyncio import Redis

from jobs.queues.celery_app import QUEUE_NAME, TASK_NAME
from jobs.redis_connection import reply, translated
from jobs.stores.redis_store import RedisJobStore

logger = logging.getLogger(__name__)

_TURN_MS = 900
_MOST_AT_ONCE = 100


class Tickets:
    """Sends tickets. A ticket that cannot be sent is no error: the job is in the store, `replace_lost` sends it."""

    def __init__(self, app: Celery, redis: Redis, store: RedisJobStore) -> None:
        self._app = app
        self._redis = redis
        self._store = store
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tickets")

    async def send(self, count: int = 1) -> None:
        """One ticket per job that can start."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._send, count)

    async def replace_lost(self) -> int:
        """Send what is missing: jobs came back from dead workers, or a broker lost its tickets. How many were sent.

        One process at a time looks; the others skip their turn. Raises: NotReady.
        """
        if not await self._our_turn():
            return 0
        due = await self._store.due_count()
        async with translated():
            queued = int(await reply(self._redis.llen(QUEUE_NAME)))
        missing = min(max(0, due - queued), _MOST_AT_ONCE)
        if missing:
            await self.send(missing)
        return missing

    async def _our_turn(self) -> bool:
        """A turn that lasts longer than turns do was taken before the server's clock was set back: it is void."""
        turn = self._store.keys.ticket_turn
        async with translated():
            if await self._redis.set(turn, "1", nx=True, px=_TURN_MS):
                return True
            if await reply(self._redis.pttl(turn)) > _TURN_MS:
                await self._redis.delete(turn)
        return False

    def close(self) -> None:
        """Finish what is being sent."""
        self._thread.shutdown()

    def _send(self, count: int) -> None:
        try:
            with self._app.producer_or_acquire() as producer:
                for _ in range(count):
                    self._app.send_task(TASK_NAME, queue=QUEUE_NAME, producer=producer, retry=False, ignore_result=True)
        except (BrokerError, KombuError, OSError) as error:
            logger.warning("no ticket sent, it will be replaced: %r", error)
