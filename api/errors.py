"""The one place where errors become HTTP: every non-2xx body is the envelope that is made here; under /v1/, OpenAI's.

`CompositionError` carries its own status and code; validation errors, the framework's own HTTP errors and anything
unexpected are translated to one first.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Match

from api.openai import errors as openai
from composition.errors import (
    CompositionError,
    Forbidden,
    InternalError,
    InvalidInput,
    MethodNotAllowed,
    NotFound,
    NotReady,
    PayloadTooLarge,
    RateLimited,
    Unauthorized,
)

logger = logging.getLogger(__name__)

_Model = TypeVar("_Model", bound=BaseModel)

MAX_LISTED_FIELDS = 20
"""Of a request with thousands of bad fields only the first are listed."""

RETRY_LATER = (429, 503)
DEFAULT_RETRY_AFTER_S = 5
"""For errors of these statuses that do not say themselves: storage that is away, for example."""

_BY_STATUS: Mapping[int, type[CompositionError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    413: PayloadTooLarge,
    429: RateLimited,
    503: NotReady,
}
_STATUS_MESSAGES: Mapping[int, str] = {
    404: "there is nothing at this path",
    405: "this path does not answer this method",
}


def error_body(error: CompositionError) -> dict[str, Any]:
    """The envelope, JSON-serialisable."""
    return {"success": False, "error": {"code": error.code, "message": error.message, "details": error.details}}


def error_response(
    error: CompositionError, headers: Mapping[str, str] | None = None, *, path: str = ""
) -> JSONResponse:
    """The error as an HTTP response, in the shape of the request's path.

    What may pass by waiting always says when to come back.
    """
    all_headers = dict(headers or {})
    body = error_body(error)
    if path.startswith(openai.PREFIX):
        body = openai.error_body(error)
        all_headers |= openai.error_headers(error)
    retry_after_s = error.retry_after_s
    if retry_after_s is None and error.status in RETRY_LATER:
        retry_after_s = DEFAULT_RETRY_AFTER_S
    if retry_after_s is not None:
        all_headers["Retry-After"] = str(retry_after_s)
    if error.status == 401:
        all_headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body, status_code=error.status, headers=all_headers)


def unexpected(error: BaseException, request_id: str) -> InternalError:
    """An opaque error for the caller; what happened goes to the log under the request's id."""
    logger.error("request %s failed unexpectedly", request_id, exc_info=error)
    return InternalError("an unexpected error has occurred", details={"request_id": request_id})


def from_http_exception(error: HTTPException) -> CompositionError:
    """The framework's own refusals: unknown paths, wrong methods, unreadable bodies."""
    if error.status_code in (400, 415, 422):
        return InvalidInput("the request body cannot be read as JSON")
    cls = _BY_STATUS.get(error.status_code)
    if cls is None:
        return InternalError("the request could not be handled")
    return cls(_STATUS_MESSAGES.get(error.status_code, str(error.detail)))


def from_validation(errors: Sequence[Mapping[str, Any]]) -> InvalidInput:
    """One error for all bad fields; `details.fields` lists them as {field, message, type}."""
    listed = [_describe(item) for item in errors[:MAX_LISTED_FIELDS]]
    message = "; ".join(f"{item['field']}: {item['message']}" for item in listed[:3])
    if len(errors) > 3:
        message += f"; and {len(errors) - 3} more"
    return InvalidInput(message, details={"fields": listed})


def about_field(field: str, message: str, kind: str) -> InvalidInput:
    """The same error for one field of the body that no schema has looked at; `kind` as pydantic names its errors."""
    return from_validation([{"loc": ("body", field), "msg": message, "type": kind}])


def validated(model: type[_Model], value: Any) -> _Model:
    """A value as a model has it. Raises: InvalidInput, with every bad field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise from_validation(error.errors()) from error


def _describe(item: Mapping[str, Any]) -> dict[str, str]:
    location = [str(part) for part in item["loc"]]
    kind = str(item["type"])
    if kind == "json_invalid":
        reason = str(item.get("ctx", {}).get("error", "")).strip()
        return {"field": "body", "message": f"is not valid JSON: {reason}", "type": kind}
    if location == ["body"] and isinstance(item.get("input"), bytes):
        return {"field": "body", "message": "must be sent as Content-Type: application/json", "type": "content_type"}
    if location and location[0] in ("body", "query", "path", "header") and len(location) > 1:
        location = location[1:]
    message = "is not a known field" if kind == "extra_forbidden" else str(item["msg"]).removeprefix("Value error, ")
    return {"field": _printable(".".join(location)), "message": _printable(message), "type": kind}


def _printable(text: str) -> str:
    """Names of unknown keys come from the caller: they may be long, and hold what UTF-8 cannot carry."""
    return text[:200].encode("utf-8", "replace").decode("utf-8")


_METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


def _methods_of(app: FastAPI, request: Request) -> list[str]:
    """The methods of all routes of a path; the framework names those of the first one."""
    scope = dict(request.scope)
    scope.pop("path_params", None)

    def allows(method: str) -> bool:
        return any(route.matches({**scope, "method": method})[0] is Match.FULL for route in app.router.routes)

    return [method for method in _METHODS if allows(method)]


def install_error_handlers(app: FastAPI) -> None:
    async def composition_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, CompositionError)
        if error.status >= 500:
            logger.warning("%s %s: %s: %s", request.method, request.url.path, error.code, error.message)
        return error_response(error, path=request.scope["path"])

    async def validation_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return error_response(from_validation(error.errors()), path=request.scope["path"])

    async def http_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        if error.status_code == MethodNotAllowed.status and (methods := _methods_of(app, request)):
            headers["Allow"] = ", ".join(methods)
        return error_response(from_http_exception(error), headers=headers, path=request.scope["path"])

    app.add_exception_handler(CompositionError, composition_error)
    app.add_exception_handler(RequestValidationError, validation_error)
    app.add_exception_handler(HTTPException, http_error)
