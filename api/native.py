"""BentoML's own endpoints, thin over the same use case as REST: a dictionary in, the REST response's body out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from api.context import ApiContext, require_context
from api.conversion import status_url
from api.errors import error_body, from_validation
from api.schemas import GenerateRequest
from api.submission import delivered_result, forget_images, run_interactive, submit
from composition.errors import CompositionError
from composition.jobs import JobKind, Priority


async def answer_natively(
    context: ApiContext | None, body: Mapping[str, Any], *, owner: str
) -> tuple[int, dict[str, Any]]:
    """What POST /api/v1/generate answers: the status and the body, errors in the envelope."""
    try:
        ready, request = require_context(context), _parse(body)
        job = await run_interactive(ready, request, kind=JobKind.EDIT, owner=owner)
        result = await delivered_result(ready, job)
        await forget_images(ready, job)
        return 200, {"success": True, "result": result}
    except CompositionError as error:
        return error.status, error_body(error)


async def submit_natively(
    context: ApiContext | None, body: Mapping[str, Any], *, owner: str
) -> tuple[int, dict[str, Any]]:
    """What POST /api/v1/generate/async answers: the status and the body, errors in the envelope."""
    try:
        ready, request = require_context(context), _parse(body)
        job = await submit(ready, request, kind=JobKind.EDIT, owner=owner, priority=Priority.BATCH)
        return 200, {"success": True, "job_id": job.id, "status_url": status_url(job.id)}
    except CompositionError as error:
        return error.status, error_body(error)


def _parse(body: Mapping[str, Any]) -> GenerateRequest:
    """Raises: InvalidInput, with every bad field."""
    try:
        return GenerateRequest.model_validate(body)
    except ValidationError as error:
        raise from_validation(error.errors()) from error
