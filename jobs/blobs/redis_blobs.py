"""Job images in Redis: for a distributed set-up without an object store. They take the server's memory."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence

from redis.asyncio import Redis

from composition.errors import NotFound
from jobs.redis_connection import reply, translated

IMAGE_TIMEOUT_S = 30.0
"""For an image of many megabytes over a slow network."""


class RedisBlobStore:
    """Blobs as plain values, their ages in one sorted set."""

    def __init__(self, redis: Redis, *, prefix: str = "composition:", clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._prefix = f"{prefix}blob:"
        self._ages = f"{prefix}blob-ages"
        self._clock = clock

    async def open(self) -> None:
        """Nothing to do: connections are opened when they are needed, Redis may also come later."""

    async def put(self, data: bytes) -> str:
        key = uuid.uuid4().hex
        async with translated(timeout_s=IMAGE_TIMEOUT_S), self._redis.pipeline(transaction=True) as pipe:
            pipe.set(self._prefix + key, data)
            pipe.zadd(self._ages, {key: self._clock()})
            await pipe.execute()
        return key

    async def get(self, key: str) -> bytes:
        async with translated(timeout_s=IMAGE_TIMEOUT_S):
            data = await reply(self._redis.get(self._prefix + key))
        if data is None:
            raise NotFound("there is no such blob")
        return bytes(data)

    async def delete(self, keys: Sequence[str]) -> None:
        if not keys:
            return
        async with translated(timeout_s=IMAGE_TIMEOUT_S), self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(*(self._prefix + key for key in keys))
            pipe.zrem(self._ages, *keys)
            await pipe.execute()

    async def older_than(self, age_s: float) -> tuple[str, ...]:
        async with translated(timeout_s=IMAGE_TIMEOUT_S):
            found = await reply(self._redis.zrange(self._ages, "-inf", self._clock() - age_s, byscore=True))
        return tuple(key.decode() for key in found)
