from __future__ import annotations

import json

from jobs.queues.fleet_health import PRESENT_S, FleetHealth
from jobs.redis_connection import connect
from jobs.stores.redis_scripts import RedisKeys
from tests.integration.jobs.redis_server import RedisServer


async def test_a_machines_workers_are_told_from_others_by_the_whole_name(shared_redis: RedisServer) -> None:
    redis = connect(shared_redis.url)
    await redis.flushdb()
    fleet, (now, _) = FleetHealth(redis), await redis.time()
    signs = {"gpu-2-77-abcd0123": now, "old-5-abcd0123": now - PRESENT_S - 5}
    for worker_id, at in signs.items():
        await redis.hset(RedisKeys("composition:").workers, worker_id, json.dumps({"at": at, "ready": True}))
    assert await fleet.is_present("gpu-2")
    assert not await fleet.is_present("gpu")
    assert not await fleet.is_present("old")
    assert (await fleet.health())["workers"] == 1
    await redis.aclose()
