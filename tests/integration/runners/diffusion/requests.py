"""Requests on made-up pictures, and a listener that collects what becomes of them."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import numpy as np

from composition.diffusion import ControlInput, DiffusionProgress, DiffusionRequest, DiffusionResult
from composition.errors import CompositionError
from composition.request import ControlType
from runners.diffusion.engine.step_engine import StepEngine
from runners.diffusion.transport.events import Accepted, Event

SIDE = 64
_numbers = itertools.count()


def picture(seed: int, height: int = SIDE, width: int = SIDE) -> Any:
    """Smooth random colours, (height, width, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((8, 8, 1), dtype=np.uint8))


def request(seed: int = 1, *, height: int = SIDE, width: int = SIDE, **changes: Any) -> DiffusionRequest:
    """A small edit of the picture's middle; `changes` replace fields."""
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 255
    values: dict[str, Any] = {
        "request_id": f"request-{next(_numbers)}",
        "image": picture(seed, height, width),
        "mask": mask,
        "prompt": "replace the wheel rims",
        "negative_prompt": "blurry",
        "num_inference_steps": 4,
        "guidance_scale": 7.5,
        "seed": seed,
    }
    return DiffusionRequest(**{**values, **changes})


def control(seed: int, scale: float = 1.0, start: float = 0.0, end: float = 1.0) -> ControlInput:
    return ControlInput(image=picture(seed), scale=scale, start=start, end=end)


def both_controls() -> dict[ControlType, ControlInput]:
    return {"pose": control(101, 0.8), "depth": control(102, 0.5)}


class Listener:
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


def run(engine: StepEngine, *requests: DiffusionRequest) -> list[DiffusionResult]:
    """All at once; their results in order."""
    listeners = [Listener() for _ in requests]
    for one, listener in zip(requests, listeners, strict=True):
        engine.submit(one, listener)
    return [listener.result() for listener in listeners]
