"""Whether the simulation foretells what the engine does: step costs from one run, the forecast for other traffic.

The model is a stand-in with costs of its own, each piece now dearer, now cheaper. Its step costs are measured as a real
model's are; then another mix arrives, and the time to answer and the utilisation are compared with the forecast.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.capacity.costs import Costs, ShapeCosts
from benchmarks.capacity.measuring import FamilyBench
from benchmarks.capacity.simulation import Outcome, simulate
from benchmarks.capacity.traffic import Kind, Request, draw
from benchmarks.capacity.workers import StandInDevice, StandInFamily, StepEngineWorker, as_asked
from benchmarks.load import percentile
from composition.diffusion import DiffusionRequest, DiffusionResult
from composition.errors import CompositionError
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.settings import EngineSettings
from runners.diffusion.engine.step_engine import StepEngine
from runners.diffusion.transport.events import Event

ALLOWED = 0.15
SPREAD = 0.2
"""A piece costs up to so much more or less than its mean."""
IN_FLIGHT, MAX_ROWS = 3, 16
PER_HOUR = 4500.0
ROUNDS = 15


def _shape(latent_size: tuple[int, int], scale: float) -> ShapeCosts:
    rows = range(1, MAX_ROWS + 1)
    return ShapeCosts(
        latent_size=latent_size,
        encode_s=0.04 * scale,
        decode_s=0.06 * scale,
        unet_s={n: scale * (0.012 + 0.008 * n**0.9) for n in rows},
        controlnet_s={n: scale * (0.004 + 0.003 * n) for n in rows},
    )


TRUTH = Costs(
    about="a stand-in model",
    shapes={"square": _shape((64, 64), 1.0), "landscape": _shape((48, 64), 0.7)},
    around_s=0.02,
    reference_s=0.016,
)
"""Its forwards grow less than their rows, and not along straight lines."""
TRAFFIC = (
    Kind(name="plain", share=0.4, steps=12),
    Kind(name="wide", share=0.3, shape="landscape", steps=18),
    Kind(name="posed", share=0.2, steps=15, controls=("pose",), reference=True),
    Kind(name="unguided", share=0.1, steps=8, guided=False),
)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One figure as it was foretold and as it was seen."""

    name: str
    foretold: float
    seen: float

    @property
    def off_by(self) -> float:
        """Share of what was seen."""
        return abs(self.foretold - self.seen) / self.seen

    @property
    def kept(self) -> bool:
        return self.off_by <= ALLOWED


def measure_stand_in(*, rounds: int, real: bool, seed: int = 1) -> Costs:
    """The stand-in's step costs as `FamilyBench` finds them, by sleeping or by adding up."""
    spent = [0.0]
    varies = _variation(seed)

    def spend(seconds: float) -> None:
        cost_s = varies(seconds)
        spent[0] += cost_s
        if real:
            time.sleep(cost_s)

    family = StandInFamily(TRUTH, spend)
    numbers = iter(range(10**9))

    def ask(
        shape: str, *, steps: int, controlled: bool = False, reference: bool = False, guided: bool = True
    ) -> DiffusionRequest:
        kind = Kind(
            name="measured", share=1.0, shape=shape, steps=steps, reference=reference, guided=guided,
            controls=("pose",) if controlled else (),
        )  # fmt: skip
        request = Request(number=next(numbers), kind=kind, at_s=0.0)
        family.expected[str(request.number)] = request
        return as_asked(request)

    clock = time.perf_counter if real else lambda: spent[0]
    bench = FamilyBench(family=family, ask=ask, rounds=rounds, clock=clock)
    sizes = {name: shape.latent_size for name, shape in TRUTH.shapes.items()}
    # What is around the diffusion is part of the stand-in's encoding, and measured with it.
    return bench.costs(sizes, about="measured of a stand-in", around_s=0.0, with_controls=True, with_references=True)


def foretell(costs: Costs, requests: Sequence[Request]) -> Outcome:
    return simulate(requests, [StepEngineWorker(costs, in_flight=IN_FLIGHT, max_rows=MAX_ROWS)])


def see_simulated(requests: Sequence[Request], *, seed: int = 2) -> Outcome:
    """The stand-in itself under a clock that costs nothing."""
    worker = StepEngineWorker(TRUTH, in_flight=IN_FLIGHT, max_rows=MAX_ROWS, varies=_variation(seed))
    return simulate(requests, [worker])


class RealRun:
    """The stand-in in an engine with its own thread, requests that arrive by the clock, a queue before it."""

    def __init__(self, *, seed: int = 2) -> None:
        self._varies, self._busy_s = _variation(seed), 0.0
        self._horizon = 0.0
        self._began: dict[int, float] = {}
        self._ended: dict[int, float] = {}
        self._family = StandInFamily(TRUTH, self._spend, lambda r: self._began.__setitem__(r.number, time.monotonic()))
        # A wait of the operating system has no room for "never": the engine looks up now and then instead.
        limits = EngineSettings(max_rows=MAX_ROWS, lease_s=3600.0, timeout_s=3600.0)
        self._engine = StepEngine(self._family, StandInDevice(), limits, Counters())
        self._waiting: deque[Request] = deque()
        self._in_flight = 0
        self._changed = threading.Condition()

    def see(self, requests: Sequence[Request]) -> Outcome:
        """Takes as long as the last arrival and what is left then."""
        start = time.monotonic()
        self._horizon = start + requests[-1].at_s
        for request in requests:
            time.sleep(max(0.0, start + request.at_s - time.monotonic()))
            with self._changed:
                self._waiting.append(request)
            self._hand_out()
        with self._changed:
            self._changed.wait_for(lambda: len(self._ended) == len(requests))
        self._engine.stop()
        began = {request.number: self._began[request.number] - start - request.at_s for request in requests}
        return Outcome(
            kinds=[request.kind.name for request in requests],
            delays_s=list(began.values()),
            answers_s=[self._ended[request.number] - start - request.at_s for request in requests],
            utilisation=self._busy_s / requests[-1].at_s,
            last_s=max(self._ended.values()) - start,
            waiting_share=sum(self._began[r.number] > self._horizon for r in requests) / len(requests),
        )

    def _hand_out(self) -> None:
        with self._changed:
            if not self._waiting or self._in_flight == IN_FLIGHT:
                return
            self._in_flight += 1
            request = self._waiting.popleft()
        asked = as_asked(request)
        self._family.expected[asked.request_id] = request

        def hear(event: Event) -> None:
            if isinstance(event, DiffusionResult | CompositionError):
                with self._changed:
                    self._ended[request.number] = time.monotonic()
                    self._in_flight -= 1
                    self._changed.notify_all()
                self._hand_out()

        self._engine.submit(asked, hear)

    def _spend(self, seconds: float) -> None:
        begun = time.monotonic()
        time.sleep(self._varies(seconds))
        self._busy_s += max(0.0, min(time.monotonic(), self._horizon) - begun)


def compare(foretold: Outcome, seen: Outcome) -> list[Compared]:
    p50s = [percentile(outcome.answers_s, 50) for outcome in (foretold, seen)]
    return [
        Compared(name="time to answer, p50", foretold=p50s[0], seen=p50s[1]),
        Compared(name="utilisation", foretold=foretold.utilisation, seen=seen.utilisation),
    ]


def validate_simulated(*, count: int = 1000) -> list[Compared]:
    """Against a stand-in under the simulation's clock: whether a few measured pieces say what other traffic costs."""
    requests = draw(TRAFFIC, per_hour=PER_HOUR, count=count, seed=11, arrivals="bursts")
    return compare(foretell(measure_stand_in(rounds=ROUNDS, real=False), requests), see_simulated(requests))


def validate_real(*, count: int = 80) -> list[Compared]:
    """Against the served engine by the clock on the wall: two minutes, on a machine that has a moment for it."""
    requests = draw(TRAFFIC, per_hour=PER_HOUR, count=count, seed=11)
    return compare(foretell(measure_stand_in(rounds=ROUNDS, real=True), requests), RealRun().see(requests))


def _variation(seed: int) -> Callable[[float], float]:
    randomness = random.Random(seed)
    return lambda seconds: seconds * randomness.uniform(1 - SPREAD, 1 + SPREAD)
