"""Random lives of the Redis store, on a real server."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from jobs.protocol.job_store import JobStore
from jobs.redis_connection import connect
from jobs.stores.redis_store import RedisJobStore
from tests.integration.jobs.redis_server import RedisServer
from tests.unit.jobs.job_store_machine import MAX_PENDING, Steps


def test_the_redis_job_store_keeps_the_rules(shared_redis: RedisServer) -> None:
    class RedisSteps(Steps):
        async def open_store(self) -> JobStore:
            self.redis = connect(shared_redis.url)
            await self.redis.flushdb()
            return RedisJobStore(self.redis, max_pending=MAX_PENDING, wait_lease_s=1e9, clock=self.clock)

        async def close_store(self) -> None:
            await self.redis.aclose()

    run_state_machine_as_test(
        RedisSteps,
        settings=settings(
            max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
