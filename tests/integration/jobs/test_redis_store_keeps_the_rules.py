"""Random lives of the Redis store, on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from jobs.protocol.job_store import JobStore
from jobs.redis_connection import connect
from jobs.stores.redis_store import RedisJobStore
from tests.integration.jobs.redis_server import RedisServer
from tests.unit.jobs.delivery_contract import assert_owes_until_told_otherwise
from tests.unit.jobs.job_samples import ManualClock, sample_job, sample_result
from tests.unit.jobs.job_store_machine import MAX_PENDING, assert_keeps_the_rules


def test_the_redis_job_store_keeps_the_rules(shared_redis: RedisServer) -> None:
    @asynccontextmanager
    async def redis_store(clock: ManualClock) -> AsyncIterator[JobStore]:
        redis = connect(shared_redis.url)
        await redis.flushdb()
        yield RedisJobStore(redis, max_pending=MAX_PENDING, wait_lease_s=1e9, clock=clock)
        await redis.aclose()

    assert_keeps_the_rules(redis_store, lives=25, steps=40)


@asynccontextmanager
async def emptied(server: RedisServer, clock: ManualClock) -> AsyncIterator[tuple[RedisJobStore, Redis]]:
    redis = connect(server.url)
    try:
        await redis.flushdb()
        yield RedisJobStore(redis, max_pending=9, wait_lease_s=1e9, clock=clock), redis
    finally:
        await redis.aclose()


async def test_a_webhook_is_owed_until_it_has_ended(shared_redis: RedisServer) -> None:
    clock = ManualClock()
    async with emptied(shared_redis, clock) as (store, _):
        await assert_owes_until_told_otherwise(store, clock)


async def test_a_job_that_is_forgotten_leaves_no_key(shared_redis: RedisServer) -> None:
    clock = ManualClock()
    async with emptied(shared_redis, clock) as (store, redis):
        job = await store.add(sample_job(idempotency_key="order-17"))
        claim = await store.claim(worker_id="w", lease_s=10)
        assert claim is not None
        assert await store.complete(claim, sample_result())
        clock.advance(100)
        await store.sweep(result_ttl_s=50)
        assert [key for key in await redis.keys("*") if job.id.encode() in key or b"accepted" in key] == []
        again = await store.add(sample_job(idempotency_key="order-17"))
        assert again.id != job.id
