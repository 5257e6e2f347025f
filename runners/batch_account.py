"""What a runner tells of its batches: how large, how long, which questions failed, and a span in each asker's trace."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeAlias

from observability.models import BatchMetrics
from observability.tracing import past_span
from runners.remote import Answer, Failure, Parcel

Note: TypeAlias = Callable[[Sequence[Answer[Any] | None]], None]
"""Takes the answers, in the order of the questions."""


class BatchAccount:
    """Tells nobody."""

    def batch(self, method: str, parcels: Sequence[Parcel[Any]]) -> AbstractContextManager[Note]:
        """Held while a batch is in the model."""
        return nullcontext(_forget)


class MeasuredBatches(BatchAccount):
    """Tells the metrics, and whoever traces."""

    def __init__(self, metrics: BatchMetrics) -> None:
        self._metrics = metrics

    @contextmanager
    def batch(self, method: str, parcels: Sequence[Parcel[Any]]) -> Iterator[Note]:
        """See above; a batch that raises has no account."""
        given: list[Answer[Any] | None] = []
        began = time.perf_counter()
        yield given.extend
        seconds = time.perf_counter() - began
        self._metrics.answered(method, items=len(parcels), seconds=seconds)
        for parcel, answer in zip(parcels, given, strict=True):
            failure = answer.content if answer is not None and isinstance(answer.content, Failure) else None
            if failure is not None:
                self._metrics.failed(method, failure.code)
            past_span(
                method,
                parent=parcel.traceparent,
                seconds=seconds,
                attributes={"batch.items": len(parcels)},
                failed=failure is not None,
            )


def _forget(answers: Sequence[Answer[Any] | None]) -> None:
    """A `Note` that keeps nothing."""


NO_ACCOUNT = BatchAccount()
