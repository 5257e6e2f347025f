"""API keys: `Authorization: Bearer KEY` or `X-API-Key: KEY`; the key's name owns the jobs it starts."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.security.answers import is_open, refuse
from composition.errors import Unauthorized


class ApiKeyGuard:
    """Refuses requests without a known key; sets `state.owner` of the others."""

    def __init__(self, app: ASGIApp, *, api_keys: Mapping[str, str], max_body_bytes: int) -> None:
        self._app = app
        self._digests = {name: _digest(key) for name, key in api_keys.items()}
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        owner = self._owner_of(_presented(Headers(scope=scope)))
        if owner is None:
            error = Unauthorized("a valid API key is needed: Authorization: Bearer KEY, or X-API-Key: KEY")
            await refuse(error, scope, receive, send, max_body_bytes=self._max_body_bytes)
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


def _presented(headers: Headers) -> str | None:
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    return headers.get("x-api-key")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
