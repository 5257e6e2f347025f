"""The error answers of each route, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel

from api.errors import error_body
from api.openai.errors import UnknownModel
from api.openai.errors import error_body as openai_error_body
from api.responses import ErrorResponse, OpenAiErrorResponse
from composition.errors import (
    Cancelled,
    CompositionError,
    ContentPolicy,
    EmptyMask,
    Forbidden,
    IdempotencyConflict,
    InternalError,
    InvalidInput,
    ModelError,
    NoDetection,
    NotFound,
    NotReady,
    OutOfMemory,
    PayloadTooLarge,
    QueueFull,
    RateLimited,
    Superseded,
    Timeout,
    Unauthorized,
    UnprocessableImage,
    UnprocessableUrl,
    UnusableLora,
)

_MESSAGES: dict[type[CompositionError], str] = {
    InvalidInput: "config.num_inference_steps: Input should be greater than or equal to 1",
    Unauthorized: "a valid API key is needed: Authorization: Bearer KEY, or X-API-Key: KEY",
    Forbidden: "a page of another site may not use this service; api.cors_origins lists those that may",
    NotFound: "there is no such job",
    Cancelled: "the job was cancelled",
    Superseded: Superseded.MESSAGE,
    PayloadTooLarge: "the request body is larger than 50 MB",
    UnprocessableImage: "base_image: is not a JPEG, PNG or WebP image",
    UnprocessableUrl: "base_image: the URL points to an address that is not public",
    EmptyMask: "mask_image: the mask is black everywhere: nothing to repaint",
    UnusableLora: "the file is a Python pickle, not safetensors; only .safetensors is taken, and never unpickled",
    IdempotencyConflict: "this Idempotency-Key came with another request before",
    NoDetection: "nothing was found for 'rims'",
    ContentPolicy: "the generated image was withheld by the safety checker",
    RateLimited: "more than 60 requests per minute",
    InternalError: "an unexpected error has occurred",
    ModelError: "a model failed",
    OutOfMemory: "the models ran out of memory",
    NotReady: "the service is starting",
    QueueFull: "the queue is full",
    Timeout: "the request took longer than 120 s",
    UnknownModel: "gpt-image",
}
_DESCRIPTIONS = {
    400: "The request cannot be read: malformed JSON, a missing, ill-typed, out-of-range or unknown field, bad base64.",
    401: "No valid API key.",
    403: "A page of another site asks and no API keys are configured, or uploads are closed.",
    404: "Unknown, expired, or another owner's.",
    409: "The job was cancelled while the caller waited, or a newer request of its session took its place.",
    413: "Body or pixels over the limit.",
    422: "Well-formed but unusable.",
    429: "Too many requests; Retry-After says when to come back.",
    500: "A model failed, memory ran out, or something unexpected happened.",
    503: "Not ready, or the queue is full; Retry-After says when to come back.",
    504: "Not done within the time limit.",
}

ANY = (Unauthorized, InternalError)
READING = (*ANY, NotReady)
A_JOB = (*READING, NotFound)
CHANGING_A_JOB = (*A_JOB, Forbidden)
SUBMITTING = (
    *READING,
    Forbidden,
    InvalidInput,
    PayloadTooLarge,
    UnprocessableImage,
    UnprocessableUrl,
    EmptyMask,
    RateLimited,
    QueueFull,
)
WAITING = (*SUBMITTING, NoDetection, Cancelled, Superseded, ModelError, OutOfMemory, Timeout)
GENERATING = (*WAITING, ContentPolicy)

Responses = dict[int | str, dict[str, Any]]

IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp")
VIDEO_TYPES = ("image/gif", "image/webp", "video/mp4", "video/webm", "application/zip")
FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
OR_THE_IMAGE: Responses = {
    200: {
        "description": "The result; with `response_format` binary the image file, and headers that say the rest.",
        "content": dict.fromkeys(IMAGE_TYPES, FILE),
        "headers": {
            name: {"description": f"{what}; only with the image file.", "schema": {"type": kind}}
            for name, what, kind in (
                ("X-Seed", "The seed", "integer"),
                ("X-Pipeline", "simple or complex", "string"),
                ("X-Processing-Time-Ms", "How long the edit took", "integer"),
                ("X-Warnings", "How many warnings `metadata.warnings` would have", "integer"),
            )
        },
    }
}
"""What a route that edits may answer beside its JSON."""


def errors(*classes: type[CompositionError]) -> Responses:
    """The `responses` of a route that may answer these errors, each code with an example."""
    return _documented(classes, ErrorResponse, error_body)


def openai_errors(*classes: type[CompositionError]) -> Responses:
    """The same in OpenAI's shape."""
    return _documented(classes, OpenAiErrorResponse, openai_error_body)


def _documented(
    classes: Sequence[type[CompositionError]],
    model: type[BaseModel],
    body_of: Callable[[CompositionError], dict[str, Any]],
) -> Responses:
    by_status: Responses = {}
    for cls in sorted(set(classes), key=lambda c: (c.status, c.code)):
        entry = by_status.setdefault(
            cls.status,
            {
                "model": model,
                "description": _DESCRIPTIONS[cls.status],
                "content": {"application/json": {"examples": {}}},
            },
        )
        example = {"summary": cls.code, "value": body_of(cls(_MESSAGES[cls]))}
        entry["content"]["application/json"]["examples"][cls.code] = example
    # Named so that the framework does not document its own 422 body, which is never sent.
    by_status["default"] = {"model": model, "description": "Any other error."}
    return by_status
