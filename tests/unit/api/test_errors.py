"""Errors as HTTP."""

from __future__ import annotations

import pytest

from api.errors import error_response
from composition.errors import CompositionError, InvalidInput, NotReady, QueueFull, RateLimited, Timeout


@pytest.mark.parametrize(
    ("error", "retry_after"),
    [
        (NotReady("the image storage cannot be used"), "5"),
        (NotReady("the service is starting", retry_after_s=9), "9"),
        (QueueFull("too many jobs are waiting"), "5"),
        (RateLimited("too many requests"), "5"),
        (InvalidInput("no"), None),
        (Timeout("too long"), None),
    ],
)
def test_what_passes_by_waiting_says_when_to_come_back(error: CompositionError, retry_after: str | None):
    assert error_response(error).headers.get("retry-after") == retry_after
