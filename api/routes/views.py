"""POST /views and /views/async: one edit of several photographs of one thing."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from api import openapi
from api.context import Charging, Context, Owner
from api.conversion import API_PREFIX
from api.forms import VIEWS_FORM, ViewsRoute, form_body
from api.responses import SubmitResponse, ViewsResponse
from api.routes.generate import IdempotencyKey, in_background, run_while_connected
from api.schemas import ViewsRequest
from composition.errors import IdempotencyConflict
from composition.jobs import JobKind

router = APIRouter(prefix=API_PREFIX, tags=["edits"], route_class=ViewsRoute)


@router.post(
    "/views",
    response_model=ViewsResponse,
    responses=openapi.errors(*openapi.GENERATING),
    summary="Edit several photographs of one thing alike, and wait for it",
    openapi_extra=form_body(VIEWS_FORM.schema),
)
async def views(body: ViewsRequest, request: Request, context: Context, owner: Owner) -> Response:
    """The same target in each photograph, in one look. Blocks until all are done; closing the connection cancels it."""
    return await run_while_connected(request, context, body, kind=JobKind.EDIT, owner=owner)


@router.post(
    "/views/async",
    response_model=SubmitResponse,
    responses=openapi.errors(*openapi.SUBMITTING, IdempotencyConflict),
    summary="Edit several photographs of one thing alike, in the background",
    openapi_extra=form_body(VIEWS_FORM.schema),
)
async def views_async(
    body: ViewsRequest,
    context: Context,
    owner: Owner,
    charging: Charging,
    idempotency_key: IdempotencyKey = None,
) -> SubmitResponse:
    """As /generate/async; the job's `result` is that of /views."""
    return await in_background(context, body, owner=owner, charge=charging, idempotency_key=idempotency_key)
