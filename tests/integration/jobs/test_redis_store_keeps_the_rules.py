"""Random lives of the Redis store, on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jobs.protocol.job_store import JobStore
from jobs.redis_connection import connect
from jobs.stores.redis_store import RedisJobStore
from tests.integration.jobs.redis_server import RedisServer
from tests.unit.jobs.job_samples import ManualClock
from tests.unit.jobs.job_store_machine import MAX_PENDING, assert_keeps_the_rules


def test_the_redis_job_store_keeps_the_rules(shared_redis: RedisServer) -> None:
    @asynccontextmanager
    async def redis_store(clock: ManualClock) -> AsyncIterator[JobStore]:
        redis = connect(shared_redis.url)
        await redis.flushdb()
        yield RedisJobStore(redis, max_pending=MAX_PENDING, wait_lease_s=1e9, clock=clock)
        await redis.aclose()

    assert_keeps_the_rules(redis_store, lives=25, steps=40)
