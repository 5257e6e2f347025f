"""Guessing at keys tells nothing: after so many wrong ones from an address the right one is refused too."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from api.security.buckets import MAX_CLIENTS, TokenBuckets
from api.security.rate_limit import rate_limited
from composition.errors import CompositionError, Unauthorized

WRONG_KEYS_PER_MINUTE = 60
"""Of one address, a request without a key too."""


class WrongKeys:
    """Counts them by address.

    Who has been let in from an address before is let in still: others at a shared address cannot lock it out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._wrong = TokenBuckets(WRONG_KEYS_PER_MINUTE, clock=clock)
        self._let_in: OrderedDict[tuple[str, str], None] = OrderedDict()

    def refusal(self, owner: str | None, address: str, *, needed: str) -> CompositionError | None:
        """Why a request is not let in, whose key is an owner's, or (None) nobody's. Args: `needed` names the key."""
        if owner is not None and ((address, owner) in self._let_in or self._wrong.has(address)):
            self._remember(address, owner)
            return None
        wait_s = self._wrong.take(address)
        if wait_s > 0:
            return rate_limited(f"too many requests without {needed}", wait_s)
        return Unauthorized(f"{needed} is needed: Authorization: Bearer KEY, or X-API-Key: KEY")

    def _remember(self, address: str, owner: str) -> None:
        self._let_in[address, owner] = None
        self._let_in.move_to_end((address, owner))
        while len(self._let_in) > MAX_CLIENTS:
            self._let_in.popitem(last=False)
