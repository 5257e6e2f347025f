"""Requests on made-up images for the engine's benchmarks, and how they are run and waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from composition.controls import CONTROLS
from composition.controls.depth import DEPTH
from composition.controls.pose import POSE
from composition.diffusion import ControlInput, DiffusionProgress, DiffusionRequest, DiffusionResult, ReferenceInput
from composition.errors import CompositionError
from composition.images import Image
from composition.request import ControlType
from runners.diffusion.engine.step_engine import StepEngine
from runners.diffusion.transport.events import Event

IP_VARIANT = "sd15"
CONTROL_TYPES = (POSE.name, DEPTH.name)
"""Those that the router chooses by itself: the mixture of real traffic."""


def image(seed: int, side: int) -> Image:
    """Smooth random colours, (side, side, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((8, 8, 1), dtype=np.uint8))


def make_request(seed: int, side: int, **changes: Any) -> DiffusionRequest:
    """An edit of the image's middle; another seed is another image and prompt. `changes` replace fields."""
    mask = np.zeros((side, side), dtype=np.uint8)
    mask[side // 4 : 3 * side // 4, side // 4 : 3 * side // 4] = 255
    values: dict[str, Any] = {
        "request_id": f"bench-{seed}",
        "image": image(seed, side),
        "mask": mask,
        "prompt": f"a red car, number {seed}",
        "negative_prompt": "blurry",
        "num_inference_steps": 20,
        "guidance_scale": 7.5,
        "seed": seed,
    }
    return DiffusionRequest(**{**values, **changes})


def controls(side: int, *kinds: ControlType) -> dict[ControlType, ControlInput]:
    return {kind: ControlInput(image=image(900 + len(kind), side), scale=CONTROLS[kind].together) for kind in kinds}


def reference(seed: int, side: int) -> dict[str, Any]:
    return {"references": (ReferenceInput(images=(image(seed, side),), scale=0.6),)}


def mixed_requests(first_seed: int, side: int, steps: int) -> list[DiffusionRequest]:
    """Eight requests as a shop's visitors send them: lengths from half to one and a half times `steps`."""
    pose, depth = CONTROL_TYPES
    lengths = [round(steps * factor) for factor in (1.0, 0.5, 1.5, 0.8, 1.2, 0.6, 1.0, 0.7)]
    changes: list[dict[str, Any]] = [
        {},
        {"guidance_scale": 5.0, "strength": 0.8},
        {"controls": controls(side, pose, depth), **reference(1, side)},
        {"guidance_scale": 1.0},
        {"controls": controls(side, depth)},
        reference(2, side),
        {"controls": controls(side, pose), **reference(3, side)},
        {"guidance_scale": 9.0},
    ]
    return [
        make_request(first_seed + number, side, num_inference_steps=length, **change)
        for number, (length, change) in enumerate(zip(lengths, changes, strict=True))
    ]


class Arrival:
    """A request in the engine: when it ended, and how (`outcome`); `also` hears what it hears."""

    def __init__(
        self, engine: StepEngine, request: DiffusionRequest, *, also: Callable[[Event], None] = lambda event: None
    ) -> None:
        self._ended, self._step, self._also = threading.Event(), 0, also
        self._moved = threading.Condition()
        self.outcome: Event | None = None
        self.started_at = time.perf_counter()
        self.ended_at = 0.0
        engine.submit(request, self._hear)

    def wait(self) -> float:
        """Seconds it took.

        Raises:
            CompositionError: it failed.
        """
        self._ended.wait()
        if isinstance(self.outcome, CompositionError):
            raise self.outcome
        return self.ended_at - self.started_at

    def wait_for_step(self, step: int) -> None:
        """Until `step` steps are done."""
        with self._moved:
            self._moved.wait_for(lambda: self._step >= step or self._ended.is_set())

    def _hear(self, event: Event) -> None:
        self._also(event)
        with self._moved:
            if isinstance(event, DiffusionProgress):
                self._step = event.step
            if isinstance(event, DiffusionResult | CompositionError):
                self.ended_at, self.outcome = time.perf_counter(), event
                self._ended.set()
            self._moved.notify_all()


def run_all(engine: StepEngine, requests: Sequence[DiffusionRequest]) -> float:
    """Seconds until all are done that were submitted together."""
    start = time.perf_counter()
    for arrival in [Arrival(engine, request) for request in requests]:
        arrival.wait()
    return time.perf_counter() - start


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
