"""Who may turn the service's switches: whoever presents `api.admin_key`, as other keys are presented."""

from __future__ import annotations

import hmac

from starlette.requests import Request

from api.context import Context
from api.security.answers import ADMIN_PREFIX
from api.security.api_keys import presented_key
from api.security.buckets import address_of
from api.security.wrong_keys import WrongKeys
from composition.errors import NotFound


def require_admin(request: Request, context: Context) -> None:
    """Compares in constant time; guessing is `WrongKeys`' business.

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
    right = key is not None and hmac.compare_digest(key.encode("utf-8", "surrogatepass"), known)
    wrong: WrongKeys = request.app.state.wrong_admin_keys
    refusal = wrong.refusal("admin" if right else None, address_of(request.scope), needed="the admin key")
    if refusal is not None:
        raise refusal
