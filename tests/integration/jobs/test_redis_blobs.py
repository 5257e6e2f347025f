from __future__ import annotations

import os

import pytest

from composition.errors import NotFound, NotReady
from jobs.blobs.redis_blobs import RedisBlobStore
from jobs.redis_connection import connect
from jobs.stores.redis_store import RedisJobStore
from tests.integration.jobs.redis_server import RedisServer


async def test_images_live_in_redis_until_they_are_deleted(shared_redis: RedisServer) -> None:
    redis = connect(shared_redis.url)
    await redis.flushdb()
    blobs = RedisBlobStore(redis)
    data = os.urandom(300_000)
    key, other = await blobs.put(data), await blobs.put(b"b")
    assert await blobs.get(key) == data
    assert set(await blobs.older_than(-10)) == {key, other}
    assert await blobs.older_than(3600) == ()
    await blobs.delete([key, "never"])
    await blobs.delete([])
    with pytest.raises(NotFound):
        await blobs.get(key)
    assert await blobs.older_than(-10) == (other,)
    await redis.aclose()


async def test_a_redis_that_is_away_is_not_ready(redis_server: RedisServer) -> None:
    redis = connect(redis_server.url)
    blobs, store = RedisBlobStore(redis), RedisJobStore(redis)
    key = await blobs.put(b"kept")
    redis_server.kill()
    for call in (blobs.put(b"a"), blobs.get(key), blobs.delete([key]), store.counts(), store.get("j")):
        with pytest.raises(NotReady):
            await call
    redis_server.start()
    assert await blobs.get(key) == b"kept"
    await redis.aclose()


async def test_a_frozen_redis_is_not_ready_within_seconds(redis_server: RedisServer) -> None:
    redis = connect(redis_server.url)
    store = RedisJobStore(redis)
    await store.counts()
    redis_server.freeze()
    with pytest.raises(NotReady):
        await store.counts()
    redis_server.thaw()
    assert sum((await store.counts()).values()) == 0
    await redis.aclose()


async def test_a_forgetful_redis_is_warned_about(redis_server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    redis = connect(redis_server.url)
    await RedisJobStore(redis).open()
    assert "may forget" not in caplog.text
    await redis.config_set("appendfsync", "everysec")
    await RedisJobStore(redis).open()
    assert "redis may forget accepted jobs in a power failure: appendfsync is everysec" in caplog.text
    await redis.aclose()
