"""The connection to Redis: fails fast, and says so in the service's own errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from composition.errors import NotReady

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 1.0
REPLY_TIMEOUT_S = 3.0


def connect(url: str) -> Redis:
    """A client that fails fast: one immediate retry, for a pooled connection that died while idle.

    It has no time limit of its own for replies, `translated` has: on Python 3.11 the client's would be an
    `asyncio.wait_for` around every write, which swallows a cancellation that comes just after it. A heartbeat that was
    to end with its job would go on for ever.
    """
    return Redis.from_url(
        url,
        decode_responses=False,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=None,
        retry=Retry(NoBackoff(), 1),
        retry_on_error=[RedisConnectionError],
    )


@asynccontextmanager
async def translated(*, timeout_s: float | None = REPLY_TIMEOUT_S) -> AsyncIterator[None]:
    """Redis away, silent for the time of the whole block, or failing: NotReady."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except (RedisError, TimeoutError) as error:
        away = isinstance(error, RedisConnectionError | RedisTimeoutError | TimeoutError)
        if not away:
            logger.error("redis refused: %s", error)
        raise NotReady("the job store is away" if away else "the job store cannot be used", retry_after_s=5) from error


async def reply(answer: Awaitable[Any] | Any) -> Any:
    """The client's annotations also cover replies of other protocol versions and of its synchronous twin."""
    return await answer
