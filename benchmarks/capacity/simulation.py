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
    """Serve `requests`, which are in order of arrival.

    A worker that can take one is offered the longest waiting request; of several, that which was given one longest
    ago, as Redis serves those that block on a queue.
    """
    horizon_s = requests[-1].at_s
    numbers = itertools.count()
    events: list[tuple[float, _What, int, int]] = [
        (request.at_s, _What.ARRIVED, next(numbers), index) for index, request in enumerate(requests)
    ]
    waiting: deque[Request] = deque()
    began: dict[int, float] = {}
    ended: dict[int, float] = {}
    awake = [False] * len(workers)
    given = list(range(-len(workers), 0))
    busy_s = 0.0

    def push(moment: float, what: _What, index: int) -> None:
        heapq.heappush(events, (moment, what, next(numbers), index))

    def hand_out(now: float) -> None:
        while waiting:
            for index in sorted(range(len(workers)), key=given.__getitem__):
                if workers[index].take(waiting):
                    given[index] = next(numbers)
                    if not awake[index]:
                        awake[index] = True
                        push(now, _What.LOOKS_UP, index)
                    break
            else:
                return

    while events:
        now, what, _, index = heapq.heappop(events)
        if what is _What.ARRIVED:
            waiting.append(requests[index])
        if what is _What.ENDED:
            workers[index].release()
        if what is not _What.LOOKS_UP:
            hand_out(now)
            continue
        turn = workers[index].turn(now)
        if turn is None:
            awake[index] = False
            continue
        busy_s += max(0.0, min(now + turn.seconds, horizon_s) - now)
        began |= {request.number: now + after for request, after in turn.began}
        for request, after in turn.ended:
            ended[request.number] = now + after
            push(now + after, _What.ENDED, index)
        push(now + turn.seconds, _What.LOOKS_UP, index)
    assert len(ended) == len(requests)
    return Outcome(
        kinds=[request.kind.name for request in requests],
        delays_s=[began[request.number] - request.at_s for request in requests],
        answers_s=[ended[request.number] - request.at_s for request in requests],
        utilisation=busy_s / (horizon_s * len(workers)) if horizon_s else 0.0,
        last_s=max(ended.values()),
        waiting_share=sum(began[request.number] > horizon_s for request in requests) / len(requests),
    )
