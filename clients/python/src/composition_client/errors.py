"""Every error of the client, under one root.

ComposeError
|-- Unreachable                nothing answers at the URL
|-- UnexpectedAnswer           something answers that is not this service
|-- OutOfTime                  the caller's own time limit
|-- NotAnImage                 what was given as an image is none
`-- ServiceError               what the service answered, by its code
    |-- InvalidInput               INVALID_INPUT
    |   `-- IdempotencyConflict    INVALID_INPUT, status 422
    |-- Unauthorized               UNAUTHORIZED
    |-- Forbidden                  FORBIDDEN
    |-- NotFound                   NOT_FOUND
    |-- MethodNotAllowed           METHOD_NOT_ALLOWED
    |-- Cancelled                  CANCELLED
    |   `-- Superseded             SUPERSEDED
    |-- PayloadTooLarge            PAYLOAD_TOO_LARGE
    |-- Unprocessable              (abstract)
    |   |-- UnprocessableImage     UNPROCESSABLE_IMAGE
    |   |-- UnprocessableUrl       UNPROCESSABLE_URL
    |   |-- EmptyMask              EMPTY_MASK
    |   |-- NoDetection            NO_DETECTION
    |   `-- ContentPolicy          CONTENT_POLICY
    |-- TryLater                   (abstract)
    |   |-- RateLimited            RATE_LIMITED
    |   |-- NotReady               NOT_READY
    |   `-- QueueFull              QUEUE_FULL
    |-- Timeout                    TIMEOUT
    `-- Internal                   INTERNAL, and every code that this version does not know
        |-- ModelError             MODEL_ERROR
        `-- OutOfMemory            OUT_OF_MEMORY
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar


class ComposeError(Exception):
    """Root of the tree; its message is written for a person."""


class Unreachable(ComposeError):
    """No connection, or one that broke, after the retries."""


class UnexpectedAnswer(ComposeError):
    """The answer is not of this service's API: a wrong URL, or a proxy's page.

    Attributes:
        status: its HTTP status.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class OutOfTime(ComposeError):
    """The caller's `timeout_s` has passed; an edit that was waited for is cancelled."""


class NotAnImage(ComposeError, ValueError):
    """Cannot be sent as an image: a file that cannot be read, an array of another shape or type."""


class ServiceError(ComposeError):
    """What the service refused, or how a job failed.

    Attributes:
        code: `error.code` of the answer, also where this version has no class for it.
        status: its HTTP status; 0 where a job ended with the error.
        details: `error.details` of the answer.
        retry_after_s: seconds that the service asks to wait, or None.
        request_id: the answer's `X-Request-ID`, to be found in the service's log, or None.
    """

    known_code: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int = 0,
        details: Mapping[str, Any] | None = None,
        retry_after_s: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code or self.known_code
        self.status = status
        self.details: dict[str, Any] = dict(details or {})
        self.retry_after_s = retry_after_s
        self.request_id = request_id

    def __str__(self) -> str:
        return f"{self.code}: {self.args[0]}"


class InvalidInput(ServiceError):
    known_code = "INVALID_INPUT"


class IdempotencyConflict(InvalidInput):
    """The key was used with another request before."""


class Unauthorized(ServiceError):
    known_code = "UNAUTHORIZED"


class Forbidden(ServiceError):
    known_code = "FORBIDDEN"


class NotFound(ServiceError):
    known_code = "NOT_FOUND"


class MethodNotAllowed(ServiceError):
    known_code = "METHOD_NOT_ALLOWED"


class Cancelled(ServiceError):
    known_code = "CANCELLED"


class Superseded(Cancelled):
    """A newer request of its session took its place."""

    known_code = "SUPERSEDED"


class PayloadTooLarge(ServiceError):
    known_code = "PAYLOAD_TOO_LARGE"


class Unprocessable(ServiceError):
    """Well-formed, but of no use."""


class UnprocessableImage(Unprocessable):
    known_code = "UNPROCESSABLE_IMAGE"


class UnprocessableUrl(Unprocessable):
    known_code = "UNPROCESSABLE_URL"


class EmptyMask(Unprocessable):
    known_code = "EMPTY_MASK"


class NoDetection(Unprocessable):
    known_code = "NO_DETECTION"


class ContentPolicy(Unprocessable):
    known_code = "CONTENT_POLICY"


class TryLater(ServiceError):
    """The same request may succeed in a while; it has been retried already."""


class RateLimited(TryLater):
    known_code = "RATE_LIMITED"


class NotReady(TryLater):
    known_code = "NOT_READY"


class QueueFull(TryLater):
    known_code = "QUEUE_FULL"


class Timeout(ServiceError):
    known_code = "TIMEOUT"


class Internal(ServiceError):
    known_code = "INTERNAL"


class ModelError(Internal):
    known_code = "MODEL_ERROR"


class OutOfMemory(Internal):
    known_code = "OUT_OF_MEMORY"


def _below(cls: type[ServiceError]) -> Iterator[type[ServiceError]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from _below(sub)


BY_CODE: Mapping[str, type[ServiceError]] = {
    cls.known_code: cls for cls in _below(ServiceError) if "known_code" in vars(cls)
}
"""The class of each code that the service documents."""


def from_code(code: str, message: str, *, status: int = 0, **known: Any) -> ServiceError:
    """The error of a code; an unknown one becomes `Internal` and keeps its code."""
    cls = BY_CODE.get(code, Internal)
    if cls is InvalidInput and status == 422:
        cls = IdempotencyConflict
    return cls(message, code=code, status=status, **known)
