"""Which requests BentoML itself may answer: its probes, and its schema when the documentation is open. No other.

BentoML reads JSON, forms, files and pickles for its own routes without a limit on their parts, and keeps whole requests
in its task store, headers too. So the rule is not which paths are ours but which few are BentoML's.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

PROBES = frozenset({"/livez", "/readyz", "/healthz"})
SCHEMA = "/schema.json"
"""BentoML's clients read it to learn the endpoints."""


class OwnRoutesGuard:
    """Sends every request to our app that is not BentoML's to answer.

    Args:
        app: BentoML's application.
        own: ours.
        schema: whether BentoML may show its schema.
    """

    def __init__(self, app: ASGIApp, *, own: ASGIApp, schema: bool) -> None:
        self._app = app
        self._own = own
        self._paths = PROBES | {SCHEMA} if schema else PROBES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        bentoml_answers = scope["type"] == "lifespan" or scope["path"] in self._paths
        await (self._app if bentoml_answers else self._own)(scope, receive, send)
