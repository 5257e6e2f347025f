"""Workers that the simulation drives: this service's step engine, and workers that run requests to their end.

`StepEngineWorker` holds the real engine: who shares a forward, in which order and with how many rows is decided by the
code that is served. Only the model is a stand-in, which adds what its work costs to a stopwatch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

from benchmarks.capacity.costs import Costs
from benchmarks.capacity.traffic import Request
from composition.diffusion import DiffusionRequest, DiffusionResult
from composition.errors import CompositionError
from composition.images import Image
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.settings import EngineSettings
from runners.diffusion.engine.state import Bucket, RequestState
from runners.diffusion.engine.step_engine import StepEngine
from runners.diffusion.transport.events import Event

NEVER_S = 1e12
_PIXEL = np.zeros((1, 1, 3), dtype=np.uint8)
_MASK = np.zeros((1, 1), dtype=np.uint8)
Result = TypeVar("Result")


@dataclass(kw_only=True)
class Turn:
    """What a worker did without a pause: seconds it took, who began and who ended in it, seconds after its start."""

    seconds: float
    began: list[tuple[Request, float]] = field(default_factory=list)
    ended: list[tuple[Request, float]] = field(default_factory=list)


class Worker(Protocol):
    """One process with one card."""

    def take(self, waiting: deque[Request]) -> bool:
        """Take requests from the queue, longest waiting first, as many as it takes at a time; False for none."""
        ...

    def turn(self, now_s: float) -> Turn | None:
        """Work until it looks up again; None when there is nothing to do."""
        ...

    def release(self) -> None:
        """The moment has come at which a request of an earlier turn ended."""
        ...


class StandInState(RequestState):
    """A request whose latents are nothing."""

    def __init__(self, request: Request, bucket: Bucket) -> None:
        super().__init__(bucket=bucket, steps=request.kind.steps)
        self.request = request

    @property
    def rows(self) -> int:
        return self.request.kind.rows

    def lay_in(self, other: StandInState, *, waiting: bool) -> None:
        """Nothing has no area."""


class StandInFamily:
    """A model family that computes nothing; `spend` is told what each piece of work costs.

    Args:
        costs: of the pieces.
        spend: advances a stopwatch, or sleeps.
        begins: is told of each request that is encoded.
    """

    models_loaded = ("stand-in",)

    def __init__(
        self, costs: Costs, spend: Callable[[float], None], begins: Callable[[Request], None] = lambda request: None
    ) -> None:
        self._costs, self._spend, self._begins = costs, spend, begins
        self.expected: dict[str, Request] = {}
        """What `encode` finds its requests in, by their ids."""

    def check(self, request: DiffusionRequest) -> None:
        """All can be served."""

    def encode(self, request: DiffusionRequest) -> StandInState:
        known = self.expected.pop(request.request_id)
        self._begins(known)
        shape = self._costs.shape(known.kind.shape)
        reference_s = self._costs.reference_s if known.kind.reference else 0.0
        self._spend(self._costs.around_s + shape.encode_s + reference_s)
        return StandInState(known, Bucket(latent_size=shape.latent_size, shared=known.kind.loras))

    def ready(self, bucket: Bucket) -> bool:
        return True

    def activate(self, bucket: Bucket) -> None:
        """Nothing to load."""

    def predict(self, states: Sequence[StandInState]) -> Sequence[None]:
        kinds = [state.request.kind for state in states]
        controlled = rows_by_control(kinds)
        self._spend(self._costs.shape(kinds[0].shape).step_s(sum(kind.rows for kind in kinds), controlled))
        return [None] * len(states)

    def advance(self, states: Sequence[StandInState], predictions: Sequence[None]) -> None:
        for state in states:
            state.step += 1

    def preview(self, state: StandInState) -> Image | None:
        return None

    def decode(self, state: StandInState) -> Image:
        self._spend(self._costs.shape(state.request.kind.shape).decode_s)
        return _PIXEL

    def release_memory(self) -> None:
        """There is none."""

    def stop(self) -> None:
        """Nothing is done beside requests."""

    def stats(self) -> Mapping[str, object]:
        return {}


class StandInDevice:
    """Encoding and decoding take their turns with the steps: on a card all of them queue on one stream."""

    asynchronous = False

    def keep_pace(self) -> None:
        """Nothing is queued."""

    def inference(self) -> AbstractContextManager[None]:
        return nullcontext()

    def free_bytes(self) -> int | None:
        return None

    def measured(self, work: Callable[[], Result]) -> tuple[Result, int | None]:
        return work(), None

    def release(self) -> None:
        """Nothing is held."""


class StepEngineWorker:
    """This service: up to `in_flight` requests in the step engine, up to `max_rows` rows in a forward.

    Args:
        costs: of the pieces.
        in_flight: limits.max_concurrent_requests.
        max_rows: generation.max_rows.
        varies: what a piece costs this time, of a model whose steps are not all alike.
    """

    def __init__(
        self, costs: Costs, *, in_flight: int, max_rows: int, varies: Callable[[float], float] = lambda seconds: seconds
    ) -> None:
        self._slots, self._now_s, self._varies = in_flight, 0.0, varies
        self._turn = Turn(seconds=0.0)
        self._failure: CompositionError | None = None
        self._family = StandInFamily(costs, self._spend, self._begins)
        limits = EngineSettings(max_rows=max_rows, lease_s=NEVER_S, timeout_s=NEVER_S)
        self._engine = StepEngine(
            self._family, StandInDevice(), limits, Counters(), clock=lambda: self._now_s, own_thread=False
        )

    def take(self, waiting: deque[Request]) -> bool:
        if not waiting or self._slots == 0:
            return False
        self._slots -= 1
        request = waiting.popleft()
        asked = as_asked(request)
        self._family.expected[asked.request_id] = request

        def hear(event: Event) -> None:
            if isinstance(event, CompositionError):
                self._failure = event
            if isinstance(event, DiffusionResult):
                self._turn.ended.append((request, self._turn.seconds))

        self._engine.submit(asked, hear)
        return True

    def turn(self, now_s: float) -> Turn | None:
        self._now_s, self._turn = now_s, Turn(seconds=0.0)
        if not self._engine.turn():
            return None
        if self._failure is not None:
            raise self._failure
        return self._turn

    def release(self) -> None:
        self._slots += 1

    def _spend(self, seconds: float) -> None:
        self._turn.seconds += self._varies(seconds)

    def _begins(self, request: Request) -> None:
        self._turn.began.append((request, self._turn.seconds))


class WholeRequestWorker:
    """Runs requests from their first step to their last; nobody joins on the way.

    Args:
        costs: of the pieces.
        max_rows: of a batch; 1 is one request at a time, first come first served.
    """

    def __init__(self, costs: Costs, *, max_rows: int) -> None:
        self._costs, self._max_rows = costs, max_rows
        self._batch: list[Request] = []
        self._running = 0

    def take(self, waiting: deque[Request]) -> bool:
        if self._running or not waiting:
            return False
        first = waiting.popleft()
        self._batch, rows = [first], first.kind.rows
        for other in list(waiting):
            if alike(first, other) and rows + other.kind.rows <= self._max_rows:
                waiting.remove(other)
                self._batch.append(other)
                rows += other.kind.rows
        self._running = len(self._batch)
        return True

    def turn(self, now_s: float) -> Turn | None:
        if not self._batch:
            return None
        kinds = [request.kind for request in self._batch]
        shape = self._costs.shape(kinds[0].shape)
        rows = sum(kind.rows for kind in kinds)
        before_s = sum(
            self._costs.around_s + shape.encode_s + kind.reference * self._costs.reference_s for kind in kinds
        )
        seconds = before_s + kinds[0].steps * shape.step_s(rows, rows_by_control(kinds)) + shape.decode_s * len(kinds)
        turn = Turn(
            seconds=seconds,
            began=[(request, 0.0) for request in self._batch],
            ended=[(request, seconds) for request in self._batch],
        )
        self._batch = []
        return turn

    def release(self) -> None:
        self._running -= 1


def alike(one: Request, other: Request) -> bool:
    """Whether a stock pipeline can paint both in one call: it takes one length, one size, one set of ControlNets.

    References never: in a batch it gives each image the others' reference as well.
    """
    a, b = one.kind, other.kind
    same = [(kind.shape, kind.steps, kind.controls, kind.guided, kind.loras) for kind in (a, b)]
    return same[0] == same[1] and not a.reference and not b.reference


def rows_by_control(kinds: Sequence[Any]) -> list[int]:
    """For each ControlNet that one of the kinds wants, the rows of all that do."""
    names = {name for kind in kinds for name in kind.controls}
    return [sum(kind.rows for kind in kinds if name in kind.controls) for name in sorted(names)]


def as_asked(request: Request) -> DiffusionRequest:
    """The request as the engine takes it; its images are nothing."""
    return DiffusionRequest(
        request_id=str(request.number),
        image=_PIXEL,
        mask=_MASK,
        prompt="",
        negative_prompt="",
        num_inference_steps=request.kind.steps,
        guidance_scale=7.5 if request.kind.guided else 1.0,
        seed=request.number,
    )
