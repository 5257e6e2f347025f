"""GET /health and GET /metrics."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from api import openapi
from api.context import STARTING_RETRY_AFTER_S, ApiContext, Context
from api.conversion import API_PREFIX
from api.responses import HealthResponse
from composition.errors import NotReady
from observability.http import HttpMetrics
from observability.series import MEDIA_TYPE

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
            found = await context.health.health()
    except TimeoutError as error:
        raise NotReady("the models do not answer", retry_after_s=STARTING_RETRY_AFTER_S) from error
    facts = {name: found[name] for name in ("models_loaded", "gpu_available", "gpu_memory_free_mb")}
    facts["profile"] = context.config.models.profile
    facts["runners"] = found.get("runners") or {}
    facts["draining"] = context.drain.on
    if not found["ready"]:
        raise NotReady("the models are not loaded", details=facts, retry_after_s=STARTING_RETRY_AFTER_S)
    return facts


# For probes; apart from GET, so that the document has the route once.
router.add_api_route("/health", health, methods=["HEAD"], include_in_schema=False)


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
    """Every process of this server: requests, jobs, stages, models, memory (docs/metrics.md)."""
    series = request.app.state.metrics
    assert isinstance(series, HttpMetrics)
    context = getattr(request.app.state, "context", None)
    if isinstance(context, ApiContext):
        try:
            series.set_jobs(await context.queue.counts(), oldest_wait_s=await context.queue.oldest_wait_s())
        except NotReady:  # who watches needs everything else now
            series.forget_jobs()
    return Response(await anyio.to_thread.run_sync(series.render), media_type=MEDIA_TYPE)
