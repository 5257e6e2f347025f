"""Whether a worker of this machine gives signs of life: `python -m jobs.probe`, the health check of its container.

While Redis is away nobody can tell, and a worker that is ended for it would lose its loaded models: that passes.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Protocol

from composition.config import load_config
from composition.errors import NotReady
from composition.startup import config_errors_end_the_process
from jobs.queues.fleet_health import FleetHealth
from jobs.redis_connection import connect


class Fleet(Protocol):
    """Who knows which workers are there."""

    async def is_present(self, machine: str) -> bool:
        """Raises: NotReady: Redis is away."""
        ...


async def why_not(fleet: Fleet, machine: str) -> str | None:
    """None when a worker of the machine was there a moment ago, or Redis is away; else what is wrong."""
    try:
        alive = await fleet.is_present(machine)
    except NotReady as error:
        print(f"cannot tell: {error}")
        return None
    return None if alive else f"no worker of {machine} gave a sign of life lately"


async def _probe(url: str) -> str | None:
    redis = connect(url)
    try:
        return await why_not(FleetHealth(redis), socket.gethostname())
    finally:
        await redis.aclose()


if __name__ == "__main__":
    with config_errors_end_the_process():
        redis_url = load_config().queue.redis_url.get_secret_value()
    sys.exit(asyncio.run(_probe(redis_url)))
