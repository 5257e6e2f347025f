"""GET /readyz for load balancers. BentoML's own raises while a runner is away, which would be an internal error."""

from __future__ import annotations

import logging

from starlette.datastructures import State
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.context import require_context
from api.errors import error_response
from api.routes.system import require_loaded_models
from composition.errors import CompositionError

logger = logging.getLogger(__name__)

PATH = "/readyz"


class ReadinessProbe:
    """Answers as /api/v1/health does, 200 or 503, before BentoML's own route can; 503 too while the service drains.

    Args:
        app: what is behind it.
        state: of the application that has the context.
    """

    def __init__(self, app: ASGIApp, *, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        response: Response
        try:
            context = require_context(self._state.context)
            context.drain.check()
            await require_loaded_models(context)
        except CompositionError as error:
            logger.warning("%s %s: %s: %s", scope["method"], PATH, error.code, error.message)
            response = error_response(error)
        else:
            response = PlainTextResponse("\n")
        await response(scope, receive, send)
