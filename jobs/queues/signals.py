"""Wakes whoever waits for a job, so that a synchronous request learns of its result without polling."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class JobSignals:
    """One event per waiter, in one event loop. A waiter subscribes, reads the store, then waits: nothing is missed."""

    def __init__(self) -> None:
        self._waiters: dict[str, set[asyncio.Event]] = {}

    @contextmanager
    def subscribe(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that every change of the job sets; the waiter clears it before it reads."""
        event = asyncio.Event()
        self._waiters.setdefault(job_id, set()).add(event)
        try:
            yield event
        finally:
            waiters = self._waiters[job_id]
            waiters.discard(event)
            if not waiters:
                del self._waiters[job_id]

    def changed(self, job_id: str) -> None:
        """Wake the job's waiters."""
        for event in self._waiters.get(job_id, ()):
            event.set()

    def all_changed(self) -> None:
        """Wake everybody: changes may have been missed."""
        for waiters in self._waiters.values():
            for event in waiters:
                event.set()
