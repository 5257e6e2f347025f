"""The connection to Redis: fails fast, and says so in the service's own errors."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
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
    """A client that fails fast: one immediate retry, for a pooled connection that died while idle."""
    return Redis.from_url(
        url,
        decode_responses=False,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=REPLY_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),
        retry_on_error=[RedisConnectionError],
    )


@contextmanager
def translated() -> Iterator[None]:
    """Redis away or failing: NotReady."""
    try:
        yield
    except RedisError as error:
        away = isinstance(error, RedisConnectionError | RedisTimeoutError)
        if not away:
            logger.error("redis refused: %s", error)
        raise NotReady("the job store is away" if away else "the job store cannot be used", retry_after_s=5) from error


async def reply(answer: Awaitable[Any] | Any) -> Any:
    """The client's annotations also cover replies of other protocol versions and of its synchronous twin."""
    return await answer
