"""GET /health and GET /metrics."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api import openapi
from api.context import STARTING_RETRY_AFTER_S, ApiContext, Context
from api.conversion import API_PREFIX
from api.metrics import MEDIA_TYPE, HttpMetrics
from api.responses import HealthResponse
from composition.errors import InternalError, NotReady

HEALTH_TIMEOUT_S = 5.0

router = APIRouter(prefix=API_PREFIX, tags=["system"])
metrics_router = APIRouter(tags=["system"])


@router.get(
    "/health",
    response_model=HealthResponse,
    responses=openapi.errors(NotReady),
    summary="Whether edits can be served",
)
async def health(context: Context) -> dict[str, Any]:
    """200 when the models are loaded, else 503 NOT_READY with the same facts in `details`."""
    return {"status": "healthy", **await require_loaded_models(context)}


async def require_loaded_models(context: ApiContext) -> dict[str, Any]:
    """The facts of /health. Raises: NotReady, with them in its details."""
    try:
        async with asyncio.timeout(HEALTH_TIMEOUT_S):
            found = dict(await context.health.health())
    except TimeoutError as error:
        raise NotReady("the models do not answer", retry_after_s=STARTING_RETRY_AFTER_S) from error
    facts: dict[str, Any] = {
        "models_loaded": list(_names(found.get("models_loaded"))),
        "gpu_available": bool(found.get("gpu_available")),
        "gpu_memory_free_mb": _megabytes(found.get("gpu_memory_free_mb")),
        "runners": found.get("runners") or {},
    }
    if not found.get("ready"):
        raise NotReady("the models are not loaded", details=facts, retry_after_s=STARTING_RETRY_AFTER_S)
    return facts


@metrics_router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"description": "Prometheus text format.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **openapi.errors(*openapi.ANY),
    },
    summary="Series for Prometheus",
)
async def metrics(request: Request) -> Response:
    """HTTP requests by route and status, their durations, and jobs by status."""
    series = request.app.state.metrics
    assert isinstance(series, HttpMetrics)
    context = getattr(request.app.state, "context", None)
    if isinstance(context, ApiContext) and context.job_counts is not None:
        series.set_jobs(await context.job_counts())
    return Response(series.render(), media_type=MEDIA_TYPE)


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise InternalError("the health report has no list of models")
    return tuple(str(name) for name in value)


def _megabytes(value: object) -> int:
    return int(value) if isinstance(value, (int, float)) else 0
