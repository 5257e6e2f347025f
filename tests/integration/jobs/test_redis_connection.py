"""What a caller that goes away leaves of a command on its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from composition.errors import NotReady
from jobs.redis_connection import connect, translated
from jobs.stores.redis_store import RedisJobStore
from tests.integration.jobs.redis_server import RedisServer
from tests.unit.jobs.job_samples import sample_job


@pytest.fixture
async def store(shared_redis: RedisServer) -> AsyncIterator[RedisJobStore]:
    redis = connect(shared_redis.url)
    await redis.flushdb()
    yield RedisJobStore(redis)
    await redis.aclose()


async def test_a_cancelled_heartbeat_ends_whenever_the_cancel_comes(store: RedisJobStore) -> None:
    await store.add(sample_job())
    claim = await store.claim(worker_id="w", lease_s=1e6)
    ran_on = []
    for turns in range(150):
        beat = asyncio.create_task(store.heartbeat(claim, lease_s=1e6, progress=None))
        for _ in range(turns):
            await asyncio.sleep(0)
        if beat.cancel():
            await asyncio.wait({beat})
            if not beat.cancelled():
                ran_on.append(turns)
    assert ran_on == []


async def test_a_redis_that_does_not_answer_is_away() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    redis = connect(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
    with pytest.raises(NotReady, match="away"):
        async with translated(timeout_s=0.2):
            await redis.get("key")
    await redis.aclose()
    server.close()
    await server.wait_closed()
