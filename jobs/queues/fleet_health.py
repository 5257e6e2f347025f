"""What the workers together can do, from the signs of presence they leave in Redis: the API node's /health."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis

from composition.errors import NotReady
from jobs.redis_connection import translated
from jobs.stores.redis_scripts import RedisKeys

PRESENT_S = 10
FORGET_S = 3600


class FleetHealth:
    """The `ModelHealth` port over all workers: the models of any, the free memory of all."""

    def __init__(self, redis: Redis, *, prefix: str = "composition:") -> None:
        self._redis = redis
        self._key = RedisKeys(prefix).workers

    async def health(self) -> Mapping[str, object]:
        """Not ready without a ready worker, or while Redis is away."""
        try:
            workers = list((await self._present()).values())
        except NotReady:
            workers = []
        names = {name for worker in workers for name in worker.get("models_loaded", ())}
        return {
            "ready": any(worker.get("ready") for worker in workers),
            "models_loaded": sorted(names),
            "gpu_available": any(worker.get("gpu_available") for worker in workers),
            "gpu_memory_free_mb": sum(int(worker.get("gpu_memory_free_mb") or 0) for worker in workers),
            "workers": len(workers),
            "running": sum(int(worker.get("running") or 0) for worker in workers),
        }

    async def is_present(self, machine: str) -> bool:
        """Whether a worker of the machine with that host name is there. Raises: NotReady: Redis is away."""
        return any(worker_id.rsplit("-", 2)[0] == machine for worker_id in await self._present())

    async def _present(self) -> dict[str, dict[str, Any]]:
        async with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.time()
                pipe.hgetall(self._key)
                (now, _), found = await pipe.execute()
            workers = {worker_id.decode(): json.loads(text) for worker_id, text in found.items()}
            dead = [worker_id for worker_id, worker in workers.items() if now - worker["at"] > FORGET_S]
            if dead:
                async with self._redis.pipeline(transaction=False) as pipe:
                    pipe.hdel(self._key, *dead)
                    await pipe.execute()
        # A sign from the future was given before the server's clock was set back; the next comes in a moment.
        return {worker_id: worker for worker_id, worker in workers.items() if abs(now - worker["at"]) <= PRESENT_S}
