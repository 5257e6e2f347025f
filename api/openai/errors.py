"""Our errors in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`.

Every answer under `PREFIX` has it, those of guards and of unknown paths too; the statuses are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from composition.errors import (
    Cancelled,
    CompositionError,
    ContentPolicy,
    Forbidden,
    NotFound,
    RateLimited,
    Timeout,
    Unauthorized,
)

PREFIX: Final = "/v1/"

_NAMES: Final[Mapping[str, str]] = {"base_image": "image", "reference_images": "image", "mask_image": "mask"}
"""Our fields as they are called here; those of one in a list begin so."""


class UnknownModel(NotFound):
    def __init__(self, model: str) -> None:
        super().__init__(f"model: there is no model {model!r} here", details={"field": "model"})


_TYPES: Final[Mapping[type[CompositionError], str]] = {
    Unauthorized: "authentication_error",
    Forbidden: "permission_error",
    RateLimited: "rate_limit_error",
}
_CODES: Final[Mapping[type[CompositionError], str]] = {
    Unauthorized: "invalid_api_key",
    RateLimited: "rate_limit_exceeded",
    ContentPolicy: "moderation_blocked",
    UnknownModel: "model_not_found",
}
"""What OpenAI calls the same thing; the others keep our code, in lower case."""
_NOT_AGAIN: Final = (Cancelled, Timeout)
"""OpenAI's clients try again by themselves after these statuses, and would only do the same work to the same end."""


def error_body(error: CompositionError) -> dict[str, Any]:
    """The body of an error, JSON-serialisable."""
    general = "server_error" if error.status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": error.message,
            "type": _TYPES.get(type(error), general),
            "param": _param(error.details),
            "code": _code(error),
        }
    }


def error_headers(error: CompositionError) -> dict[str, str]:
    """What OpenAI's clients want to know beside the body."""
    return {"X-Should-Retry": "false"} if isinstance(error, _NOT_AGAIN) else {}


@contextmanager
def in_their_terms() -> Iterator[None]:
    """Say in an error what our fields are called here."""
    try:
        yield
    except CompositionError as error:
        ours = str(error.details.get("field"))
        theirs = _NAMES.get(ours.partition(".")[0])
        if theirs is not None:
            error.details["field"] = theirs
            error.message = error.message.replace(f"{ours}:", f"{theirs}:", 1)
        raise


def _param(details: Mapping[str, Any]) -> str | None:
    name = _first_field(details).get("field")
    return name if isinstance(name, str) and name != "body" else None


def _code(error: CompositionError) -> str:
    if _first_field(error.details).get("type") == "extra_forbidden":
        return "unknown_parameter"
    return _CODES.get(type(error), error.code.lower())


def _first_field(details: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of those that an error is about: they have one parameter where we have a list."""
    fields = details.get("fields")
    return fields[0] if fields else {"field": details.get("field")}
