"""Every error that a caller can be told about; one class per code of the API's error table.

CompositionError
|-- InvalidInput               400 INVALID_INPUT          the schema can refuse it
|-- Unauthorized               401 UNAUTHORIZED
|-- Forbidden                  403 FORBIDDEN              a page of another site asks, through somebody's browser
|-- NotFound                   404 NOT_FOUND
|-- MethodNotAllowed           405 METHOD_NOT_ALLOWED
|-- Cancelled                  409 CANCELLED
|   `-- Superseded                 SUPERSEDED             a newer request of its session took its place
|-- PayloadTooLarge            413 PAYLOAD_TOO_LARGE      bytes or pixels over the limit
|-- Unprocessable              422 (abstract)             well-formed but unusable
|   |-- UnprocessableImage         UNPROCESSABLE_IMAGE
|   |-- UnprocessableUrl           UNPROCESSABLE_URL
|   |-- EmptyMask                  EMPTY_MASK
|   |-- NoDetection                NO_DETECTION
|   |-- ContentPolicy              CONTENT_POLICY
|   |-- UnusableLora               INVALID_INPUT          a file that is no LoRA for these models, or has no place
|   `-- IdempotencyConflict        INVALID_INPUT
|-- RateLimited                429 RATE_LIMITED
|-- InternalError              500 INTERNAL
|   |-- ModelError                 MODEL_ERROR
|   `-- OutOfMemory                OUT_OF_MEMORY
|-- NotReady                   503 NOT_READY              models are not loaded, or a backend is away
|   `-- StorageAway                NOT_READY              no image can be written or read: never the outcome of a job
|-- QueueFull                  503 QUEUE_FULL
`-- Timeout                    504 TIMEOUT
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar


class CompositionError(Exception):
    """Root of the tree. Its message is written for the caller: it never carries another request's data.

    Attributes:
        code: the `error.code` of the API's envelope.
        status: the HTTP status it is answered with.
        details: JSON-serialisable facts for `error.details`.
        retry_after_s: seconds for a Retry-After header, or None.
    """

    code: ClassVar[str] = "INTERNAL"
    status: ClassVar[int] = 500

    def __init__(
        self, message: str, *, details: Mapping[str, Any] | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = dict(details or {})
        self.retry_after_s = retry_after_s


class InvalidInput(CompositionError):
    code, status = "INVALID_INPUT", 400


class Unauthorized(CompositionError):
    code, status = "UNAUTHORIZED", 401


class Forbidden(CompositionError):
    code, status = "FORBIDDEN", 403


class NotFound(CompositionError):
    code, status = "NOT_FOUND", 404


class MethodNotAllowed(CompositionError):
    code, status = "METHOD_NOT_ALLOWED", 405


class Cancelled(CompositionError):
    code, status = "CANCELLED", 409


class Superseded(Cancelled):
    """A client that asks again before it has its answer wants the newer one."""

    code = "SUPERSEDED"
    MESSAGE: ClassVar[str] = "a newer request of the same session took this one's place"


class PayloadTooLarge(CompositionError):
    code, status = "PAYLOAD_TOO_LARGE", 413


class Unprocessable(CompositionError):
    status = 422


class UnprocessableImage(Unprocessable):
    code = "UNPROCESSABLE_IMAGE"


class UnprocessableUrl(Unprocessable):
    code = "UNPROCESSABLE_URL"


class EmptyMask(Unprocessable):
    code = "EMPTY_MASK"


class NoDetection(Unprocessable):
    code = "NO_DETECTION"


class ContentPolicy(Unprocessable):
    code = "CONTENT_POLICY"


class UnusableLora(Unprocessable):
    code = "INVALID_INPUT"


class IdempotencyConflict(Unprocessable):
    """The same Idempotency-Key came with another body."""

    code = "INVALID_INPUT"


class RateLimited(CompositionError):
    code, status = "RATE_LIMITED", 429


class InternalError(CompositionError):
    code, status = "INTERNAL", 500


class ModelError(InternalError):
    code = "MODEL_ERROR"


class OutOfMemory(InternalError):
    code = "OUT_OF_MEMORY"


class NotReady(CompositionError):
    code, status = "NOT_READY", 503


class StorageAway(NotReady):
    """A full disk, a folder that has become read-only, a storage that does not answer."""


class QueueFull(CompositionError):
    code, status = "QUEUE_FULL", 503


class Timeout(CompositionError):
    code, status = "TIMEOUT", 504


def _subclasses(cls: type[CompositionError]) -> Iterator[type[CompositionError]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from _subclasses(sub)


_NEVER_REBUILT = (IdempotencyConflict, UnusableLora, Unprocessable, StorageAway)
"""Each shares its code with another class, which an error of that code becomes."""


def from_code(code: str, message: str, details: Mapping[str, Any] | None = None) -> CompositionError:
    """Rebuild an error that crossed a process boundary as values; an unknown code becomes INTERNAL."""
    for cls in _subclasses(CompositionError):
        if cls.code == code and cls not in _NEVER_REBUILT:
            return cls(message, details=details)
    return InternalError(message, details=details)
