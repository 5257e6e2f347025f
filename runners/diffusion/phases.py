"""Spans of one request at the diffusion model: encode -> denoise -> decode, told from the events that it answers."""

from __future__ import annotations

import time

from composition.diffusion import DiffusionProgress, DiffusionRequest, DiffusionResult
from composition.errors import CompositionError
from observability.tracing import past_span
from runners.diffusion.transport.events import Event


class PhaseSpans:
    """Nothing for a request that comes without a trace."""

    def __init__(self) -> None:
        self._traceparent = ""
        self._phase = "encode"
        self._began = 0.0
        self._steps = 0

    def begin(self, request: DiffusionRequest) -> None:
        """It has come."""
        self._traceparent, self._began = request.traceparent, time.perf_counter()

    def note(self, event: Event) -> None:
        """The next event of its stream."""
        if isinstance(event, DiffusionProgress):
            self._steps = event.step
            if event.step == 0:
                self._end("denoise")
            elif event.step == event.total:
                self._end("decode")
        elif isinstance(event, DiffusionResult):
            self._end("")
        elif isinstance(event, CompositionError):
            self._end("", failed=True)

    def _end(self, following: str, *, failed: bool = False) -> None:
        now = time.perf_counter()
        facts = {"steps": self._steps} if self._phase == "denoise" else None
        past_span(self._phase, parent=self._traceparent, seconds=now - self._began, attributes=facts, failed=failed)
        self._phase, self._began = following, now
