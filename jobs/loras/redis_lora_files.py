"""LoRAs in Redis: for a distributed set-up without an object store. They take the server's memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from redis.asyncio import Redis

from composition.errors import NotFound
from jobs.redis_connection import reply, translated

CHUNK_BYTES: Final = 4 << 20
"""Far below the largest value that Redis takes, and small enough not to hold up others."""
CHUNK_TIMEOUT_S: Final = 30.0


class RedisLoraFiles:
    """Files as hashes of chunks, records as one hash per owner."""

    def __init__(
        self, redis: Redis, *, prefix: str = "composition:lora", clock: Callable[[], float] = time.time
    ) -> None:
        self._redis, self._clock = redis, clock
        self._file, self._ages = f"{prefix}-file:", f"{prefix}-ages"
        self._owned, self._owners = f"{prefix}-records:", f"{prefix}-owners"

    async def open(self) -> None:
        """Nothing to do: connections are opened when they are needed, Redis may also come later."""

    async def put(self, key: str, path: Path) -> None:
        async with translated(timeout_s=CHUNK_TIMEOUT_S):
            await reply(self._redis.zadd(self._ages, {key: self._clock()}))
        with await asyncio.to_thread(path.open, "rb") as file:
            number = 0
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                async with translated(timeout_s=CHUNK_TIMEOUT_S):
                    await reply(self._redis.hset(self._file + key, str(number), chunk))
                number += 1

    async def fetch(self, key: str, path: Path) -> None:
        async with translated(timeout_s=CHUNK_TIMEOUT_S):
            count = await reply(self._redis.hlen(self._file + key))
        if not count:
            raise NotFound("there is no such LoRA")
        with await asyncio.to_thread(path.open, "wb") as file:
            for number in range(count):
                async with translated(timeout_s=CHUNK_TIMEOUT_S):
                    chunk = await reply(self._redis.hget(self._file + key, str(number)))
                if chunk is None:
                    raise NotFound("there is no such LoRA")
                await asyncio.to_thread(file.write, chunk)

    def path_of(self, key: str) -> Path | None:
        return None

    async def delete(self, key: str) -> None:
        async with translated(timeout_s=CHUNK_TIMEOUT_S), self._redis.pipeline(transaction=True) as pipe:
            pipe.unlink(self._file + key)
            pipe.zrem(self._ages, key)
            await pipe.execute()

    async def keys(self) -> Mapping[str, float]:
        async with translated(timeout_s=CHUNK_TIMEOUT_S):
            found = await reply(self._redis.zrange(self._ages, 0, -1, withscores=True))
        return {key.decode(): at for key, at in found}

    async def add_record(self, owner: str, name: str, record: str) -> bool:
        async with translated(timeout_s=CHUNK_TIMEOUT_S), self._redis.pipeline(transaction=True) as pipe:
            pipe.sadd(self._owners, owner)
            pipe.hsetnx(self._owned + owner, name, record)
            _, added = await pipe.execute()
        return bool(added)

    async def remove_record(self, owner: str, name: str) -> bool:
        async with translated(timeout_s=CHUNK_TIMEOUT_S):
            return bool(await reply(self._redis.hdel(self._owned + owner, name)))

    async def records(self, owner: str | None = None) -> tuple[str, ...]:
        async with translated(timeout_s=CHUNK_TIMEOUT_S):
            owners = [owner] if owner is not None else [
                one.decode() for one in await reply(self._redis.smembers(self._owners))
            ]  # fmt: skip
            found = [await reply(self._redis.hvals(self._owned + one)) for one in owners]
        return tuple(text.decode() for texts in found for text in texts)
