"""API keys: `Authorization: Bearer KEY` or `X-API-Key: KEY`; the key's name owns the jobs it starts."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.security.answers import is_open, refuse
from api.security.buckets import address_of
from api.security.wrong_keys import WrongKeys


class ApiKeyGuard:
    """Refuses requests without a known key, and guessing (`WrongKeys`); sets `state.owner` of the others."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        api_keys: Mapping[str, SecretStr],
        max_body_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._digests = {name: _digest(key.get_secret_value()) for name, key in api_keys.items()}
        self._max_body_bytes = max_body_bytes
        self._wrong = WrongKeys(clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        owner = self._owner_of(presented_key(Headers(scope=scope)))
        refusal = self._wrong.refusal(owner, address_of(scope), needed="a valid API key")
        if refusal is not None:
            await refuse(refusal, scope, receive, send, max_body_bytes=self._max_body_bytes)
            return
        scope.setdefault("state", {})["owner"] = owner
        await self._app(scope, receive, send)

    def _owner_of(self, key: str | None) -> str | None:
        """Compares with every key, in constant time, so that the time tells nothing."""
        if key is None:
            return None
        digest = _digest(key)
        owner = None
        for name, known in self._digests.items():
            if hmac.compare_digest(digest, known):
                owner = name
        return owner


def presented_key(headers: Headers) -> str | None:
    """The key of a request, whichever of the two ways it comes."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    return headers.get("x-api-key")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
