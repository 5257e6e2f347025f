"""A listener of the diffusion engine that keeps what it hears."""

from __future__ import annotations

import threading

from composition.diffusion import DiffusionProgress, DiffusionResult
from composition.errors import CompositionError
from runners.diffusion.transport.events import Accepted, Event


class FakeListener:
    """Collects events; `result` waits for the last one. With `leaves_at` it is gone from that step on."""

    def __init__(self, leaves_at: int | None = None) -> None:
        self.events: list[Event] = []
        self._leaves_at = leaves_at
        self._ended = threading.Event()
        self._reached = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._reached:
            self.events.append(event)
            self._reached.notify_all()
        if isinstance(event, DiffusionResult | CompositionError):
            self._ended.set()
        elif isinstance(event, DiffusionProgress) and event.step == self._leaves_at:
            raise RuntimeError("the event loop is closed")

    @property
    def steps(self) -> list[int]:
        return [event.step for event in self.events if isinstance(event, DiffusionProgress)]

    @property
    def accepted(self) -> bool:
        return bool(self.events) and isinstance(self.events[0], Accepted)

    def wait_for_step(self, step: int) -> None:
        with self._reached:
            assert self._reached.wait_for(lambda: step in self.steps, timeout=60)

    def outcome(self) -> DiffusionResult | CompositionError:
        assert self._ended.wait(60), f"no end after {self.events}"
        last = self.events[-1]
        assert isinstance(last, DiffusionResult | CompositionError)
        return last

    def result(self) -> DiffusionResult:
        outcome = self.outcome()
        assert isinstance(outcome, DiffusionResult), outcome
        return outcome

    def error(self) -> CompositionError:
        outcome = self.outcome()
        assert isinstance(outcome, CompositionError), outcome
        return outcome
