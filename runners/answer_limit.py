"""The time until an answer begins is limited, and the limit ends with the answer.

As published (1.4.40), BentoML's timer of a request runs on for the whole limit when the request has long been answered,
and keeps what belonged to it: a front with twenty requests a second holds the contexts of 36,000. BentoML makes the app
itself, so this takes its middleware's place.
"""

from __future__ import annotations

import asyncio

from bentoml._internal.server.http import traffic
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def limit_answers() -> None:
    """Let every service that is served from now on in this process, front and runners, have this limit."""
    traffic.TimeoutMiddleware = AnswerLimit


class AnswerLimit:
    """Answers 504 when the app has not begun to answer in time; what has begun may take as long as it wants.

    Args:
        app: what answers.
        timeout: seconds.
    """

    def __init__(self, app: ASGIApp, timeout: float) -> None:
        self._app = app
        self._timeout_s = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._timeout_s) as limit:

                async def send_unlimited(message: Message) -> None:
                    if limit.when() is not None:
                        limit.reschedule(None)
                    await send(message)

                await self._app(scope, receive, send_unlimited)
        except TimeoutError:
            if not limit.expired():
                raise
            said = {"error": f"Not able to process the request in {self._timeout_s} seconds"}
            await JSONResponse(said, status_code=504)(scope, receive, send)
