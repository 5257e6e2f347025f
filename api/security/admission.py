"""Edits that would be refused anyway are refused before their bodies are read: a full queue, a service not ready."""

from __future__ import annotations

from collections.abc import Collection

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.context import require_context
from api.security.answers import refuse
from composition.errors import CompositionError


class AdmissionGuard:
    """Answers 503 with Retry-After while no edit can be accepted.

    A submission with an Idempotency-Key is let through: it may be a repetition, which a full queue answers as well.

    Args:
        app: what is guarded.
        own: our app, for its context.
        paths: those of the routes that accept edits.
        max_body_bytes: the body limit.
    """

    def __init__(self, app: ASGIApp, *, own: FastAPI, paths: Collection[str], max_body_bytes: int) -> None:
        self._app = app
        self._own = own
        self._paths = frozenset(paths)
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._may_be_refused(scope):
            try:
                context = require_context(self._own.state.context)
                context.drain.check()
                await context.queue.check_room()
            except CompositionError as error:
                await refuse(error, scope, receive, send, max_body_bytes=self._max_body_bytes)
                return
        await self._app(scope, receive, send)

    def _may_be_refused(self, scope: Scope) -> bool:
        return (
            scope["type"] == "http"
            and scope["method"] == "POST"
            and scope["path"] in self._paths
            and "idempotency-key" not in Headers(scope=scope)
        )
