"""Who is being served: every request from acceptance to its one terminal event. No model here.

A request ends exactly once: with its result, its error, a cancel, a lapsed lease or a passed deadline, whichever is
first. What comes later is dropped. The engine asks `ended` before it spends anything on a request.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from composition.diffusion import DiffusionProgress, DiffusionRequest, DiffusionResult
from composition.errors import Cancelled, CompositionError, InvalidInput, NotReady, Timeout
from composition.images import Image
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.state import RequestState
from runners.diffusion.transport.events import Accepted, Event

logger = logging.getLogger(__name__)

Listener: TypeAlias = Callable[[Event], None]
"""Called from any thread; must not block. One that raises is gone, and its request is cancelled."""

_TOMBSTONE_S = 60.0


class Phase(Enum):
    ENCODING = auto()
    DENOISING = auto()
    FINISHING = auto()


@dataclass(kw_only=True, eq=False)
class Ticket:
    """One request's place in the engine; times are seconds of the registry's clock.

    Attributes:
        arrival: its number in order of acceptance.
        last_served: the engine's turn in which it last took a step.
        state: what the engine keeps for it; None until it is encoded and again when it has ended.
        preview: goes with its next progress; None when there is none.
        preview_due: one is being made or waits for that.
    """

    request: DiffusionRequest
    listener: Listener
    arrival: int
    deadline_at: float
    lease_until: float
    phase: Phase = Phase.ENCODING
    last_served: int = 0
    state: RequestState | None = None
    preview: Image | None = None
    preview_due: bool = False
    ended: bool = False

    @property
    def request_id(self) -> str:
        return self.request.request_id


class RequestRegistry:
    """Thread-safe."""

    def __init__(self, *, lease_s: float, timeout_s: float, clock: Callable[[], float], counters: Counters) -> None:
        self.lease_s, self._timeout_s, self._clock, self._counters = lease_s, timeout_s, clock, counters
        self._tickets: dict[str, Ticket] = {}
        self._cancelled_early: dict[str, float] = {}
        self._arrivals = 0
        self._closed = False
        self._lock = threading.RLock()

    def open(self, request: DiffusionRequest, listener: Listener) -> Ticket:
        """Accept a request: its listener hears `Accepted` before anything else.

        Raises:
            InvalidInput: a request of this id is running.
            Cancelled: the id was cancelled before the request came.
            NotReady: the registry is closed.
        """
        now = self._clock()
        allowed = self._timeout_s if request.deadline_s is None else min(self._timeout_s, request.deadline_s)
        with self._lock:
            if self._closed:
                raise NotReady("the diffusion runner is shutting down")
            if request.request_id in self._tickets:
                raise InvalidInput("a request of this id is running")
            if self._cancelled_early.pop(request.request_id, 0.0) > now:
                raise Cancelled("the request was cancelled")
            self._arrivals += 1
            ticket = Ticket(
                request=request,
                listener=listener,
                arrival=self._arrivals,
                deadline_at=now + allowed,
                lease_until=now + self.lease_s,
            )
            self._tickets[request.request_id] = ticket
            self._counters.add("requests_accepted")
            self.tell(ticket, Accepted(lease_s=self.lease_s))
        return ticket

    def tell(self, ticket: Ticket, event: Accepted | DiffusionProgress) -> None:
        """Send an event that is not the last one; a listener that is gone cancels its request."""
        if ticket.ended:
            return
        try:
            ticket.listener(event)
        except Exception as error:
            logger.info("a listener is gone (%s)", type(error).__name__)
            self.end(ticket, Cancelled("the consumer is gone"))

    def end(self, ticket: Ticket, event: DiffusionResult | CompositionError) -> bool:
        """Send the terminal event; False when the request had ended before."""
        with self._lock:
            if ticket.ended:
                return False
            ticket.ended = True
            ticket.state = None
            self._tickets.pop(ticket.request_id, None)
        outcome = "completed" if isinstance(event, DiffusionResult) else event.code.lower()
        self._counters.add(f"requests_{outcome}")
        try:
            ticket.listener(event)
        except Exception as error:
            logger.info("a listener is gone (%s)", type(error).__name__)
        return True

    def cancel(self, request_id: str) -> bool:
        """End a request now; one that has not come yet is refused when it comes. False when it is not running."""
        now = self._clock()
        with self._lock:
            ticket = self._tickets.get(request_id)
            if ticket is None:
                self._cancelled_early = {key: t for key, t in self._cancelled_early.items() if t > now}
                self._cancelled_early[request_id] = now + _TOMBSTONE_S
                return False
        return self.end(ticket, Cancelled("the request was cancelled"))

    def renew(self, request_id: str) -> bool:
        """Extend the lease; False when the request is not running."""
        with self._lock:
            ticket = self._tickets.get(request_id)
            if ticket is None:
                return False
            ticket.lease_until = self._clock() + self.lease_s
            return True

    def end_overdue(self) -> None:
        """End every request whose lease lapsed or whose deadline passed."""
        now = self._clock()
        for ticket in self.running():
            if ticket.deadline_at <= now:
                self.end(ticket, Timeout("the request took longer than its deadline allows"))
            elif ticket.lease_until <= now:
                self.end(ticket, NotReady("nobody renewed the request's lease"))

    def seconds_to_next_expiry(self) -> float | None:
        """Until `end_overdue` may have something to do; None when nothing is running."""
        moments = [min(ticket.deadline_at, ticket.lease_until) for ticket in self.running()]
        return max(0.0, min(moments) - self._clock()) if moments else None

    def running(self, phase: Phase | None = None) -> list[Ticket]:
        """Requests that have not ended, in order of arrival."""
        with self._lock:
            tickets = list(self._tickets.values())
        return [ticket for ticket in tickets if phase is None or ticket.phase is phase]

    def close(self) -> None:
        """Accept nothing more and end what runs."""
        with self._lock:
            self._closed = True
        for ticket in self.running():
            self.end(ticket, NotReady("the diffusion runner is shutting down"))
