"""So many requests that start work per client and minute, in bursts of at most as many; n candidates count as n.

Reading (status, events, results, health) is not counted: a client that polls is not one that abuses.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from api.security.answers import OPEN_PATHS, refuse
from api.security.buckets import TokenBuckets, address_of
from composition.errors import InvalidInput, RateLimited

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
        self._per_minute = per_minute
        self._max_body_bytes = max_body_bytes
        self._buckets = TokenBuckets(per_minute, clock=clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _FREE_METHODS or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        client = client_of(scope)
        wait_s = self._buckets.take(client)
        if wait_s > 0:
            error = rate_limited(f"more than {self._per_minute} requests per minute", wait_s)
            await refuse(error, scope, receive, send, max_body_bytes=self._max_body_bytes)
            return
        scope.setdefault("state", {})["charge"] = lambda edits: self._charge(client, edits)
        await self._app(scope, receive, send)

    def _charge(self, client: str, edits: int) -> None:
        """What an admitted request costs when it turns out to be so many edits; one is paid for already."""
        if edits > self._per_minute:
            raise InvalidInput(
                f"n: no more than {self._per_minute} edits per minute are allowed", details={"field": "n"}
            )
        wait_s = self._buckets.take(client, edits - 1)
        if wait_s > 0:
            of_the_first_s = 60.0 / self._per_minute
            raise rate_limited(f"{edits} candidates are more than the rate has left", wait_s + of_the_first_s)


def rate_limited(message: str, wait_s: float) -> RateLimited:
    """Whole seconds for Retry-After, at least one."""
    return RateLimited(message, retry_after_s=max(1, math.ceil(wait_s)))


def client_of(scope: Scope) -> str:
    """The key's name when there is one, else the peer's address."""
    owner = scope.get("state", {}).get("owner")
    return f"key:{owner}" if owner is not None else f"address:{address_of(scope)}"
