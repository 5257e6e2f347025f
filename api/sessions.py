"""Which of a session's requests came last, as long as they are being read: a newer one may be read faster.

fetch -> decode -> **turn** -> submit. From then on the job store knows their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from composition.errors import Superseded


@dataclass(kw_only=True, eq=False)
class _Line:
    """The requests of one session that are being read.

    `newest` is the number of the last to arrive of those that have been handed over.
    """

    reading: int = 0
    newest: int = 0


class Sessions:
    """Of the requests that this process reads; nothing is kept of a session that none of them is of."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._lines: dict[tuple[str, str], _Line] = {}

    def __len__(self) -> int:
        return len(self._lines)

    @contextmanager
    def arrived(self, owner: str, session: str | None) -> Iterator[Callable[[], None]]:
        """Around the reading of a request, which is in no session where that is None.

        What it gives is called when the request is handed over to the queue. It raises Superseded where one of the
        same owner and session was handed over before that arrived later.
        """
        if session is None:
            yield lambda: None
            return
        number, key = next(self._numbers), (owner, session)
        line = self._lines.setdefault(key, _Line())
        line.reading += 1

        def hand_over() -> None:
            if number < line.newest:
                raise Superseded(Superseded.MESSAGE)
            line.newest = number

        try:
            yield hand_over
        finally:
            line.reading -= 1
            if not line.reading:
                del self._lines[key]
