"""Every request gets an id, is counted and timed, and may be logged."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from contextlib import AbstractContextManager, nullcontext

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.security.answers import OPEN_PATHS
from composition.logs import logged_with
from observability.http import HttpMetrics
from observability.tracing import continued

access_logger = logging.getLogger("api.access")

REQUEST_ID_HEADER = "X-Request-ID"
_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class ObservationGuard:
    """Sets `state.request_id` (the caller's own when it is harmless) and answers it in `X-Request-ID`.

    `state.started_at` is the `time.perf_counter` of the request's arrival.
    """

    def __init__(self, app: ASGIApp, *, metrics: HttpMetrics, access_log: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        started_at = time.perf_counter()
        scope.setdefault("state", {}).update(request_id=request_id, started_at=started_at)
        status, answered_s = 0, 0.0

        async def labelled_send(message: Message) -> None:
            nonlocal status, answered_s
            if message["type"] == "http.response.start":
                status, answered_s = message["status"], time.perf_counter() - started_at
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        with self._metrics.in_progress(), logged_with(request_id=request_id):
            try:
                with _span(scope, headers, request_id):
                    await self._app(scope, receive, labelled_send)
            finally:
                duration_s = time.perf_counter() - started_at
                route = route_template(scope)
                self._metrics.observe(method=scope["method"], route=route, status=status, duration_s=duration_s)
                if self._access_log and not _is_answered_probe(scope, status):
                    access_logger.info("%s", _access_line(scope, status, answered_s, duration_s, request_id))


def _span(scope: Scope, headers: Headers, request_id: str) -> AbstractContextManager[None]:
    """Of what asks for work; nobody needs to know how long a probe or a status took."""
    if scope["method"] != "POST":
        return nullcontext()
    return continued(headers.get("traceparent", ""), "request", attributes={"request.id": request_id})


def _is_answered_probe(scope: Scope, status: int) -> bool:
    """Probes come every few seconds and say nothing while all is well."""
    return scope["path"] in OPEN_PATHS and status == 200


def _access_line(scope: Scope, status: int, answered_s: float, duration_s: float, request_id: str) -> str:
    """One JSON object; the path without its query, which may hold secrets.

    `answered_ms` is when the answer began, `duration_ms` when it was over, or the rest of a refused body read off.
    """
    client = scope.get("client")
    return json.dumps(
        {
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "answered_ms": round(answered_s * 1000, 1),
            "duration_ms": round(duration_s * 1000, 1),
            "request_id": request_id,
            "client": client[0] if client else None,
            "owner": scope["state"].get("owner"),
        }
    )


def route_template(scope: Scope) -> str:
    """The matched route's path with its parameters' names, so that ids make no new series; "unmatched" for others."""
    route = scope.get("route")
    path = getattr(route, "path", None)
    return path if isinstance(path, str) else "unmatched"


def _request_id(headers: Headers) -> str:
    offered = headers.get(REQUEST_ID_HEADER, "")
    return offered if _ACCEPTABLE_ID.fullmatch(offered) else uuid.uuid4().hex
