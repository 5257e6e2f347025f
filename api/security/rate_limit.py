"""A token bucket per client: so many requests that start work per minute, in bursts of at most as many.

Reading (status, events, results, health) is not counted: a client that polls is not one that abuses.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from api.security.answers import OPEN_PATHS, refuse
from composition.errors import RateLimited

MAX_CLIENTS = 10_000
"""Buckets kept; the one that was used longest ago is dropped, which can only be generous to its client."""
_FREE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "PUT"})
"""PUT cancels a task of BentoML's clients; there is no other."""


class RateLimitGuard:
    """Answers 429 with Retry-After when a client's bucket is empty."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        per_minute: int,
        max_body_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._capacity = float(per_minute)
        self._refill_per_s = per_minute / 60.0
        self._max_body_bytes = max_body_bytes
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _FREE_METHODS or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        wait_s = self._take(_client_of(scope))
        if wait_s > 0:
            error = RateLimited(
                f"more than {self._capacity:g} requests per minute", retry_after_s=max(1, math.ceil(wait_s))
            )
            await refuse(error, scope, receive, send, max_body_bytes=self._max_body_bytes)
            return
        await self._app(scope, receive, send)

    def _take(self, client: str) -> float:
        """Take a token; 0, or the seconds until there is one."""
        now = self._clock()
        tokens, then = self._buckets.pop(client, (self._capacity, now))
        tokens = min(self._capacity, tokens + (now - then) * self._refill_per_s)
        allowed = tokens >= 1.0
        self._buckets[client] = (tokens - 1.0 if allowed else tokens, now)
        while len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - tokens) / self._refill_per_s


def _client_of(scope: Scope) -> str:
    """The key's name when there is one, else the peer's address."""
    owner = scope.get("state", {}).get("owner")
    if owner is not None:
        return f"key:{owner}"
    client = scope.get("client")
    return f"address:{client[0] if client else 'local'}"
