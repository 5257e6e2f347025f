"""Token buckets, one for each client, and who counts as one client."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.types import Scope

MAX_CLIENTS = 10_000
"""Buckets kept; the one that was used longest ago is dropped, which can only be generous to its client."""
_SITE_PREFIX = 64
"""Bits of an IPv6 address that a network provider gives to one customer at least; the rest is the customer's choice."""


class TokenBuckets:
    """So many tokens per minute for everyone, in bursts of at most as many."""

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = float(per_minute)
        self._refill_per_s = per_minute / 60.0
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def has(self, client: str) -> bool:
        """Whether there is a token; none is taken."""
        return self._tokens(client, self._clock()) >= 1.0

    def take(self, client: str, count: int = 1) -> float:
        """Take tokens; 0, or the seconds until there are as many."""
        now = self._clock()
        tokens = self._tokens(client, now)
        self._buckets.pop(client, None)
        allowed = tokens >= count
        self._buckets[client] = (tokens - count if allowed else tokens, now)
        while len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (count - tokens) / self._refill_per_s

    def _tokens(self, client: str, now: float) -> float:
        tokens, then = self._buckets.get(client, (self._capacity, now))
        return min(self._capacity, tokens + (now - then) * self._refill_per_s)


def address_of(scope: Scope) -> str:
    """The peer's IPv4 address, or its IPv6 network: one customer has 2^64 addresses."""
    client = scope.get("client")
    if not client:
        return "local"
    text = str(client[0])
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _SITE_PREFIX), strict=False))
