"""Who may turn the service's switches: whoever presents `api.admin_key`, as other keys are presented."""

from __future__ import annotations

import hmac

from starlette.requests import Request

from api.context import Context
from api.security.answers import ADMIN_PREFIX
from api.security.api_keys import presented_key
from api.security.buckets import TokenBuckets, address_of
from api.security.rate_limit import rate_limited
from composition.errors import NotFound, Unauthorized


def require_admin(request: Request, context: Context) -> None:
    """Compares in constant time, and slows down who guesses.

    Raises:
        NotFound: there is no admin key, and so no such route.
        Unauthorized: another key or none.
        RateLimited: too many of those from this address.
    """
    expected = context.config.api.admin_key
    if expected is None:
        raise NotFound(f"{ADMIN_PREFIX} needs api.admin_key, which is not configured")
    key = presented_key(request.headers)
    known = expected.get_secret_value().encode()
    if key is not None and hmac.compare_digest(key.encode("utf-8", "surrogatepass"), known):
        return
    wrong: TokenBuckets = request.app.state.wrong_admin_keys
    wait_s = wrong.take(address_of(request.scope))
    if wait_s > 0:
        raise rate_limited("too many requests without the admin key", wait_s)
    raise Unauthorized("the admin key is needed: Authorization: Bearer KEY, or X-API-Key: KEY")
