"""POST /video: one edit of a clip, always in the background."""

from __future__ import annotations

from fastapi import APIRouter

from api import openapi
from api.context import Charging, Context, Owner
from api.conversion import API_PREFIX
from api.forms import VIDEO_FORM, VideoRoute, form_body
from api.responses import SubmitResponse
from api.routes.generate import IdempotencyKey, in_background
from api.schemas import VideoRequest
from composition.errors import IdempotencyConflict

router = APIRouter(prefix=API_PREFIX, tags=["edits"], route_class=VideoRoute)


@router.post(
    "/video",
    response_model=SubmitResponse,
    responses=openapi.errors(*openapi.SUBMITTING, IdempotencyConflict),
    summary="Edit a clip, in the background",
    openapi_extra=form_body(VIDEO_FORM.schema),
)
async def video(
    body: VideoRequest,
    context: Context,
    owner: Owner,
    charging: Charging,
    idempotency_key: IdempotencyKey = None,
) -> SubmitResponse:
    """The same target in every frame, found anew where it has to be; the job's `result` has the clip, or its URL."""
    return await in_background(context, body, owner=owner, charge=charging, idempotency_key=idempotency_key)
