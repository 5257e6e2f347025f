"""Random lives of the Redis store, on a real server, and what holds while the server's clock is set."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from composition.config import QueueConfig
from jobs.protocol.job_store import JobStore
from jobs.queues.celery_app import create_celery_app
from jobs.queues.fleet_health import FleetHealth
from jobs.queues.tickets import Tickets
from jobs.redis_connection import connect
from jobs.stores.redis_store import RedisJobStore
from tests.integration.jobs.redis_server import RedisServer
from tests.unit.jobs.checkpoint_contract import (
    AGAIN,
    ENDS,
    assert_another_attempt_finds_it,
    assert_its_blobs_go_when_the_job_ends,
    assert_the_newest_is_kept,
)
from tests.unit.jobs.clock_steps import STEPS, STEPS_S, Step
from tests.unit.jobs.delivery_contract import assert_owes_until_told_otherwise
from tests.unit.jobs.job_samples import ManualClock, sample_job, sample_result
from tests.unit.jobs.job_store_machine import MAX_PENDING, StoreOpener, assert_keeps_the_rules


@pytest.fixture
def redis_store(shared_redis: RedisServer) -> StoreOpener:
    @asynccontextmanager
    async def opened(clock: ManualClock) -> AsyncIterator[JobStore]:
        redis = connect(shared_redis.url)
        await redis.flushdb()
        yield RedisJobStore(redis, max_pending=MAX_PENDING, wait_lease_s=1e9, clock=clock, monotonic=clock.monotonic)
        await redis.aclose()

    return opened


def test_the_redis_job_store_keeps_the_rules(redis_store: StoreOpener) -> None:
    assert_keeps_the_rules(redis_store, lives=25, steps=40)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
async def test_whatever_the_clock_is_set_to(redis_store: StoreOpener, step: Step) -> None:
    clock = ManualClock()
    async with redis_store(clock) as store:
        await step(store, clock)


async def test_who_is_waited_for_is_told_by_silence_not_by_the_time_of_day(shared_redis: RedisServer) -> None:
    clock, redis = ManualClock(), connect(shared_redis.url)
    await redis.flushdb()
    store = RedisJobStore(redis, wait_lease_s=30, clock=clock, monotonic=clock.monotonic)
    job = await store.add(sample_job(interactive=True))
    for step_s in STEPS_S:
        assert await store.sweep(result_ttl_s=100) == ()
        clock.set_by(step_s)
        assert await store.sweep(result_ttl_s=100) == ()
        clock.advance(29)
        assert await store.sweep(result_ttl_s=100) == ()
        await store.keep_waiting([job.id])
    clock.set_by(-3600)
    await store.sweep(result_ttl_s=100)
    clock.advance(30)
    assert [ended.id for ended in await store.sweep(result_ttl_s=100)] == [job.id]
    await redis.aclose()


async def test_a_turn_that_was_taken_before_the_server_s_clock_was_set_back_holds_up_no_ticket(
    shared_redis: RedisServer,
) -> None:
    redis = connect(shared_redis.url)
    await redis.flushdb()
    store = RedisJobStore(redis)
    tickets = Tickets(create_celery_app(QueueConfig(redis_url=shared_redis.url), concurrency=1), redis, store)
    await store.add(sample_job())
    await redis.set(store.keys.ticket_turn, "1", px=3_600_000)
    assert [await tickets.replace_lost() for _ in range(2)] == [0, 1]
    tickets.close()
    await redis.aclose()


async def test_only_a_sign_of_now_shows_a_worker(shared_redis: RedisServer) -> None:
    redis = connect(shared_redis.url)
    await redis.flushdb()
    now, _ = await redis.time()
    workers = RedisJobStore(redis).keys.workers
    for name, age_s in (("here", 1), ("gone", 60), ("from before the clock was set back", -3600)):
        await redis.hset(workers, name, json.dumps({"ready": True, "at": now - age_s}))
    assert (await FleetHealth(redis).health())["workers"] == 1
    await redis.aclose()


@asynccontextmanager
async def emptied(server: RedisServer, clock: ManualClock) -> AsyncIterator[tuple[RedisJobStore, Redis]]:
    redis = connect(server.url)
    try:
        await redis.flushdb()
        yield RedisJobStore(redis, max_pending=9, wait_lease_s=1e9, clock=clock, monotonic=clock.monotonic), redis
    finally:
        await redis.aclose()


async def test_a_webhook_is_owed_until_it_has_ended(shared_redis: RedisServer) -> None:
    clock = ManualClock()
    async with emptied(shared_redis, clock) as (store, _):
        await assert_owes_until_told_otherwise(store, clock)


async def test_the_newest_checkpoint_of_a_clip_is_kept_and_its_blobs_are_the_jobs(redis_store: StoreOpener) -> None:
    async with redis_store(ManualClock()) as store:
        await assert_the_newest_is_kept(store)


@pytest.mark.parametrize("way", AGAIN)
async def test_another_attempt_finds_what_is_finished_of_a_clip(redis_store: StoreOpener, way: str) -> None:
    async with redis_store(ManualClock()) as store:
        await assert_another_attempt_finds_it(store, way)


@pytest.mark.parametrize("end", ENDS)
async def test_what_was_finished_of_a_clip_goes_when_its_job_ends(redis_store: StoreOpener, end: str) -> None:
    async with redis_store(ManualClock()) as store:
        await assert_its_blobs_go_when_the_job_ends(store, end)


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
