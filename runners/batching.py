"""What every batching runner does with a batch: group what may share a forward, keep one item's failure to itself.

batch of parcels -> **grouped -> forward per group -> answers in the batch's order**
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from composition.errors import CompositionError, OutOfMemory
from runners.errors import translated
from runners.remote import Answer, Failure, Parcel

Item = TypeVar("Item")
Result = TypeVar("Result")


class Visits(Protocol):
    """See `runners.visits.ModelVisits`."""

    def on_device(self, *modules: Any) -> AbstractContextManager[None]: ...


class BatchDesk:
    """Answers batches one at a time, and counts them.

    Behind its own server a runner gets one batch at a time anyway. In process, several threads may call it, and
    tokenizers and caches are not made for that.

    Args:
        visits: brings a model to the device for as long as it works; None where it is there anyway.
        most_together: how many items share a forward at most.
        give_back: after each batch gives back to the device what is held unused.
    """

    def __init__(
        self,
        visits: Visits | None = None,
        *,
        most_together: int | None = None,
        give_back: Callable[[], None] = lambda: None,
    ) -> None:
        self._visits, self._most_together, self._give_back = visits, most_together, give_back
        self._turn = threading.Lock()
        self._counts: dict[str, Counter[str]] = {}

    def answer(
        self,
        method: str,
        parcels: Sequence[Parcel[Item]],
        forward: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        doing: str,
        group_by: Callable[[Item], Hashable] = lambda item: None,
        make_room: Callable[[], None] = lambda: None,
        module: Any = None,
    ) -> list[Answer[Result]]:
        """Answer every parcel, in order.

        Args:
            method: under which the batch is counted.
            parcels: the batch.
            forward: runs the model over items of one group and gives one result each.
            doing: the step in plain words, for messages ("finding objects").
            group_by: what items must agree on to share a forward; may raise a CompositionError for an unusable item.
            make_room: frees what memory it can; called when a forward ran out of it, before it is tried again.
            module: what `forward` runs, where it may be a visitor; None for what never is.
        """

        def counted(items: Sequence[Item]) -> Sequence[Result]:
            counts["forwards"] += 1
            if self._visits is None or module is None:
                return forward(items)
            with self._visits.on_device(module):
                return forward(items)

        with self._turn:
            counts = self._counts.setdefault(method, Counter())
            counts["batches"] += 1
            counts["items"] += len(parcels)
            answers: list[Answer[Result] | None] = [None] * len(parcels)
            groups: dict[Hashable, list[int]] = {}
            for index, parcel in enumerate(parcels):
                try:
                    with translated(doing):
                        groups.setdefault(group_by(parcel.content), []).append(index)
                except CompositionError as error:
                    answers[index] = Answer(Failure.of(error))
            for members in (part for group in groups.values() for part in self._parts(group)):
                contents = [parcels[index].content for index in members]
                for index, answer in zip(members, _run(contents, counted, doing, make_room), strict=True):
                    answers[index] = answer
            self._give_back()
        complete = [answer for answer in answers if answer is not None]
        # BentoML cuts a batch result of another length silently, and so hands items to the wrong callers.
        assert len(complete) == len(parcels)
        return complete

    def _parts(self, group: list[int]) -> Iterator[list[int]]:
        size = self._most_together or len(group)
        return (group[start : start + size] for start in range(0, len(group), size))

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Per method since the start: `batches`, the `items` in them, and the `forwards` that they took."""
        return {method: dict(counts) for method, counts in list(self._counts.items())}


def _run(
    items: Sequence[Item],
    forward: Callable[[Sequence[Item]], Sequence[Result]],
    doing: str,
    make_room: Callable[[], None],
) -> list[Answer[Result]]:
    """One forward; when it fails, every item alone, so that only those that fail by themselves do."""
    try:
        return _forward(items, forward, doing)
    except CompositionError as error:
        if isinstance(error, OutOfMemory):
            make_room()
        elif len(items) == 1:
            return [Answer(Failure.of(error))]
    answers: list[Answer[Result]] = []
    for item in items:
        try:
            answers += _forward([item], forward, doing)
        except CompositionError as error:
            answers.append(Answer(Failure.of(error)))
    return answers


def _forward(
    items: Sequence[Item], forward: Callable[[Sequence[Item]], Sequence[Result]], doing: str
) -> list[Answer[Result]]:
    with translated(doing):
        results = forward(items)
        assert len(results) == len(items)
        return [Answer(result) for result in results]
