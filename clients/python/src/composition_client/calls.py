"""One call of the API, tried again where that may help; without input and output of its own.

A flow is a generator that yields what is to be done (`Send`, `Follow`, `Pause`) and is sent what came of it. The two
clients do it, one blocking and one awaiting, so that everything worth deciding is written once.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

import httpx

from composition_client.body import Body
from composition_client.errors import (
    ComposeError,
    OutOfTime,
    TryLater,
    UnexpectedAnswer,
    Unreachable,
    from_code,
)
from composition_client.events import Event

T = TypeVar("T")
API = "/api/v1"
GATEWAY = (502, 503, 504)
"""What a proxy answers for a service that is just away."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One HTTP request."""

    method: str
    path: str
    body: Body | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_headers(self) -> dict[str, str]:
        kind = {} if self.body is None else {"Content-Type": self.body.content_type}
        return {**kind, **self.headers}


@dataclass(frozen=True)
class Deadline:
    """The caller's time limit, by the monotonic clock."""

    limit_s: float
    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(seconds, time.monotonic() + seconds)

    @property
    def left_s(self) -> float:
        """Raises: OutOfTime when nothing is left."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise OutOfTime(f"not done within {self.limit_s:g} s")
        return left

    def pause(self, seconds: float, error: ComposeError) -> Pause:
        """Raises: the error itself, when waiting for another attempt would take longer than what is left."""
        if seconds >= self.left_s:
            raise error
        return Pause(seconds)


@dataclass(frozen=True)
class Send:
    """Do the call; what comes of it is an `httpx.Response` that has been read, or an `httpx.HTTPError`.

    Attributes:
        timeout_s: at most so long.
        last: said on the way out of an interrupted flow: not to be interrupted itself.
    """

    call: Call
    timeout_s: float
    last: bool = False


@dataclass(frozen=True)
class Follow:
    """Read a stream of events until `on_event` answers True, the deadline passes or it ends; comes out like `Send`.

    Attributes:
        silence_s: a stream that says nothing for so long has died.
    """

    call: Call
    silence_s: float
    deadline: Deadline
    on_event: Callable[[Event], bool]

    def wants_more(self, event: Event | None) -> bool:
        """After each line, of which some close an event."""
        if event is not None and self.on_event(event):
            return False
        return time.monotonic() < self.deadline.at


@dataclass(frozen=True)
class Pause:
    seconds: float


Effect: TypeAlias = Send | Follow | Pause
Outcome: TypeAlias = httpx.Response | httpx.HTTPError
Flow: TypeAlias = Generator[Effect, Any, T]


@dataclass(frozen=True, kw_only=True)
class Retrying:
    """How often a call is tried again, and after how long: as long as `Retry-After` says, else longer and longer."""

    retries: int = 3
    first_pause_s: float = 0.5
    longest_pause_s: float = 8.0

    def pause_s(self, error: ComposeError, attempt: int) -> float | None:
        """Seconds before the next attempt after `attempt` (from 0) of them failed; None: it is not tried again."""
        if attempt >= self.retries or not may_pass(error):
            return None
        if isinstance(error, TryLater) and error.retry_after_s is not None:
            return error.retry_after_s
        longest = min(self.longest_pause_s, self.first_pause_s * 2.0**attempt)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - so that many clients do not come back at once

    def patient(self) -> Retrying:
        """For a job that is waited for, which outlives a restart of its service: about a minute instead of seconds."""
        return replace(self, retries=self.retries * 4)


def may_pass(error: ComposeError) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, UnexpectedAnswer):
        return error.status in GATEWAY
    return isinstance(error, Unreachable | TryLater)


def call(request: Call, *, retrying: Retrying, deadline: Deadline, longest_s: float = 60.0) -> Flow[httpx.Response]:
    """The answer of a call that succeeded. Raises: ComposeError."""
    attempt = 0
    while True:
        outcome: Outcome = yield Send(request, min(longest_s, deadline.left_s))
        error = fault(outcome)
        if error is None:
            assert isinstance(outcome, httpx.Response)
            return outcome
        pause_s = retrying.pause_s(error, attempt)
        if pause_s is None:
            raise error
        yield deadline.pause(pause_s, error)
        attempt += 1


def fault(outcome: Outcome) -> ComposeError | None:
    """What went wrong, or None."""
    if isinstance(outcome, httpx.HTTPError):
        return Unreachable(_described(outcome))
    if outcome.is_success:
        return None
    try:
        error = outcome.json()["error"]
        code, message = str(error["code"]), str(error["message"])
        details = error.get("details")
    except (ValueError, KeyError, TypeError, AttributeError):
        return _unexpected(outcome)
    return from_code(
        code,
        message,
        status=outcome.status_code,
        details=details if isinstance(details, Mapping) else None,
        retry_after_s=_seconds(outcome.headers.get("Retry-After")),
        request_id=outcome.headers.get("X-Request-ID"),
    )


def _unexpected(answer: httpx.Response) -> UnexpectedAnswer:
    where = answer.request.url.copy_with(userinfo=b"", query=None)
    said = f"{answer.status_code} {answer.reason_phrase}".strip()
    return UnexpectedAnswer(f"{where} answers {said}, not as this service does", status=answer.status_code)


def _described(error: httpx.HTTPError) -> str:
    reason = str(error) or type(error).__name__
    try:
        url = error.request.url
    except RuntimeError:
        return reason
    return f"{url.scheme}://{url.netloc.decode('ascii')}: {reason}"


def _seconds(text: str | None) -> float | None:
    """Of `Retry-After`; the service sends seconds, and a proxy's date is left to our own pauses."""
    return float(text) if text is not None and text.isdecimal() else None
