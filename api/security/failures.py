"""The last line: whatever goes wrong inside ends as the envelope, and unknown paths do too."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response, unexpected
from composition.errors import CompositionError, MethodNotAllowed, NotFound


class FailureGuard:
    """Turns an exception before the response starts into an opaque 500 with the request's id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except Exception as error:
            answer = unexpected(error, str(scope.get("state", {}).get("request_id", "-")))
            if started:
                # The status is out; ending without the last chunk is how the client learns that the body is broken.
                return
            await error_response(answer, path=scope["path"])(scope, receive, send)


class UnknownPathGuard:
    """Puts the bare 404 and 405 of routers that know nothing of the envelope into it.

    A path with a stray slash at its end is unknown too: the outer router would redirect it, with an empty body.
    """

    _errors: Mapping[int, CompositionError] = {
        307: NotFound("there is nothing at this path; without the slash at its end there is"),
        404: NotFound("there is nothing at this path"),
        405: MethodNotAllowed("this path does not answer this method"),
    }

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        replacing = False

        async def enveloping_send(message: Message) -> None:
            nonlocal replacing
            if message["type"] == "http.response.start" and self._is_bare(message):
                replacing = True
                allowed = Headers(raw=message["headers"]).get("allow")
                response = error_response(
                    self._errors[message["status"]],
                    headers={"Allow": allowed} if allowed else None,
                    path=scope["path"],
                )
                await response(scope, receive, send)
            elif not replacing:
                await send(message)

        await self._app(scope, receive, enveloping_send)

    def _is_bare(self, message: Message) -> bool:
        content_type = Headers(raw=message["headers"]).get("content-type", "")
        return message["status"] in self._errors and not content_type.startswith("application/json")
