"""/api/v1/admin/drain, for who has `api.admin_key`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from api import openapi
from api.context import Context
from api.conversion import API_PREFIX
from api.responses import DrainResponse
from api.security.admin import require_admin
from composition.errors import NotFound, NotReady, RateLimited, Unauthorized
from composition.jobs import JobStatus

router = APIRouter(
    prefix=f"{API_PREFIX}/admin",
    tags=["admin"],
    responses=openapi.errors(Unauthorized, NotFound, RateLimited, NotReady),
)

Admin = Annotated[None, Depends(require_admin)]


@router.get("/drain", response_model=DrainResponse, summary="Whether the service drains, and what is left to do")
async def get_drain(context: Context, _: Admin) -> dict[str, Any]:
    """When `pending` and `processing` are 0, nothing is lost by stopping."""
    counts = await context.queue.counts()
    return {
        "draining": context.drain.on,
        "pending": counts.get(JobStatus.PENDING, 0),
        "processing": counts.get(JobStatus.PROCESSING, 0),
    }


@router.post("/drain", response_model=DrainResponse, summary="Take no new work; finish what there is")
async def drain(context: Context, _: Admin) -> dict[str, Any]:
    """New edits are answered 503 with Retry-After, /readyz says 503; status, results and events go on. Idempotent."""
    context.drain.turn(on=True)
    return await get_drain(context, None)


@router.delete("/drain", response_model=DrainResponse, summary="Take work again")
async def resume(context: Context, _: Admin) -> dict[str, Any]:
    """Idempotent. A restart does the same."""
    context.drain.turn(on=False)
    return await get_drain(context, None)
