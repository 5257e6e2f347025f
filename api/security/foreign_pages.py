"""Requests that a page of another site sends through its visitor's browser, where no key says who is asking.

A form (multipart, urlencoded, plain text) needs nobody's permission to cross from one site to another: CORS only keeps
the page from reading the answer. Browsers say where a request comes from; other clients say nothing and pass.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.security.answers import refuse
from composition.errors import Forbidden

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN = frozenset({"same-origin", "none"})
"""Of Sec-Fetch-Site; "none": a person's own doing, such as a bookmark."""


class ForeignPageGuard:
    """Answers 403 to whatever starts or ends work for a page that is neither the service's own nor allowed.

    Args:
        app: what is guarded.
        origins: of pages that may ask (`api.cors_origins`); "*" is everybody.
        max_body_bytes: the body limit.
    """

    def __init__(self, app: ASGIApp, *, origins: Collection[str], max_body_bytes: int) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _READING and self._is_foreign(Headers(scope=scope)):
            error = Forbidden("a page of another site may not use this service; api.cors_origins lists those that may")
            await refuse(error, scope, receive, send, max_body_bytes=self._max_body_bytes)
            return
        await self._app(scope, receive, send)

    def _is_foreign(self, headers: Headers) -> bool:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if "*" in self._origins or origin in self._origins:
            return False
        if site is not None:
            return site not in _OWN
        return origin is not None and _authority(origin) != headers.get("host", "").lower()


def _authority(origin: str) -> str:
    """Host and port of an origin; the scheme is not compared, since a proxy may have ended TLS."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
