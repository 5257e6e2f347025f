"""One queue before several workers, event by event."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from benchmarks.capacity.traffic import Request
from benchmarks.capacity.workers import Worker

OVERLOADED_SHARE = 0.05


class _What(IntEnum):
    """Of one moment, in this order: a slot that frees can serve who comes at the same time."""

    ENDED = 0
    ARRIVED = 1
    LOOKS_UP = 2


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a stream of requests.

    Attributes:
        kinds: of each request, by name, in order of arrival as all that follows.
        delays_s: until its work began.
        answers_s: until its image was there.
        utilisation: the workers' busy share of the time from 0 until the last arrival; 0 where all come at 0.
        last_s: when the last image was there.
        waiting_share: of all requests, those not begun when the last one came.
    """

    kinds: Sequence[str]
    delays_s: Sequence[float]
    answers_s: Sequence[float]
    utilisation: float
    last_s: float
    waiting_share: float

    @property
    def overloaded(self) -> bool:
        """More comes than can be served: the percentiles only say how long was simulated."""
        return self.waiting_share > OVERLOADED_SHARE


def simulate(requests: Sequence[Request], workers: Sequence[Worker]) -> Outcome:
    """Serve `requests`, which are in order of arrival."""
    return _Simulation(requests, workers).run()


class _Simulation:
    """Events in order of their time: arrivals, ends of requests, and the moments at which workers look up.

    A worker that can take one is offered the longest waiting request; of several, that which was given one longest
    ago, as Redis serves those that block on a queue.
    """

    def __init__(self, requests: Sequence[Request], workers: Sequence[Worker]) -> None:
        self._requests, self._workers = requests, workers
        self._horizon_s = requests[-1].at_s
        self._numbers = itertools.count()
        self._events: list[tuple[float, _What, int, int]] = []
        self._waiting: deque[Request] = deque()
        self._awake = [False] * len(workers)
        self._given = list(range(-len(workers), 0))
        self._began: dict[int, float] = {}
        self._ended: dict[int, float] = {}
        self._busy_s = 0.0
        for index, request in enumerate(requests):
            self._push(request.at_s, _What.ARRIVED, index)

    def run(self) -> Outcome:
        """Until the last image is there."""
        while self._events:
            now, what, _, index = heapq.heappop(self._events)
            if what is _What.LOOKS_UP:
                self._turn(now, index)
                continue
            if what is _What.ENDED:
                self._workers[index].release()
            else:
                self._waiting.append(self._requests[index])
            self._hand_out(now)
        assert len(self._ended) == len(self._requests)
        return self._outcome()

    def _push(self, moment: float, what: _What, index: int) -> None:
        heapq.heappush(self._events, (moment, what, next(self._numbers), index))

    def _hand_out(self, now: float) -> None:
        while self._waiting:
            longest_without = sorted(range(len(self._workers)), key=self._given.__getitem__)
            index = next((i for i in longest_without if self._workers[i].take(self._waiting)), None)
            if index is None:
                return
            self._given[index] = next(self._numbers)
            if not self._awake[index]:
                self._awake[index] = True
                self._push(now, _What.LOOKS_UP, index)

    def _turn(self, now: float, index: int) -> None:
        turn = self._workers[index].turn(now)
        if turn is None:
            self._awake[index] = False
            return
        self._busy_s += max(0.0, min(now + turn.seconds, self._horizon_s) - now)
        self._began |= {request.number: now + after for request, after in turn.began}
        for request, after in turn.ended:
            self._ended[request.number] = now + after
            self._push(now + after, _What.ENDED, index)
        self._push(now + turn.seconds, _What.LOOKS_UP, index)

    def _outcome(self) -> Outcome:
        began = [self._began[request.number] for request in self._requests]
        ended = [self._ended[request.number] for request in self._requests]
        arrived = [request.at_s for request in self._requests]
        available_s = self._horizon_s * len(self._workers)
        return Outcome(
            kinds=[request.kind.name for request in self._requests],
            delays_s=[moment - came for moment, came in zip(began, arrived, strict=True)],
            answers_s=[moment - came for moment, came in zip(ended, arrived, strict=True)],
            utilisation=self._busy_s / available_s if available_s else 0.0,
            last_s=max(ended),
            waiting_share=sum(moment > self._horizon_s for moment in began) / len(began),
        )
