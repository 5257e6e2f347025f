"""A model family and a device in a few lines: latents drift by a constant at each step, memory is a number of rows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from composition.errors import InvalidInput
from runners.diffusion.engine.state import Bucket, RequestState

DRIFT = 5.0


@dataclass(kw_only=True, eq=False)
class DriftState(RequestState):
    """`area` (h, w; bool) is where its region is, `image` what the image has there: a waiting region shows it."""

    latents: Any
    drift: float = DRIFT
    area: Any = None
    image: Any = None

    @property
    def rows(self) -> int:
        return 1

    def lay_in(self, other, *, waiting):
        self.latents = np.where(other.area, other.image if waiting else other.latents, self.latents)


class DriftFamily:
    """Begins at the request's seed; a prompt that is a number is the drift, `strength` the share of the steps.

    `room` is how many rows fit, and `batches` how many there were in each forward. There is room for one checkpoint at
    a time: `loads` names each that was loaded for a step, in order.

    What a test plants: `fail` is asked before every piece of work, by the method's name and the states at hand; while
    `gate` is closed no forward ends, and `inside` says that one waits there.
    """

    models_loaded = ("drift",)

    def __init__(self) -> None:
        self.room = 1000
        self.batches: list[int] = []
        self.buckets: list[Bucket] = []
        self.releases = self.stops = 0
        self.loaded = {""}
        self.loads: list[str] = []
        self.fail: Callable[[str, list[DriftState]], Exception | None] = lambda work, states: None
        self.gate, self.inside = threading.Event(), threading.Event()
        self.gate.set()

    def check(self, request):
        if request.controls:
            raise InvalidInput("this family has no controls")

    def encode(self, request):
        self._maybe_fail("encode", [])
        height, width = request.mask.shape
        return DriftState(
            bucket=Bucket(
                latent_size=(height // 8, width // 8),
                shared=tuple(lora.name for lora in request.loras),
                checkpoint=request.model or "",
            ),
            steps=max(1, round(request.num_inference_steps * request.strength)),
            drift=float(request.prompt) if request.prompt.isdigit() else DRIFT,
            area=None if request.area is None else request.area[::8, ::8] > 0,
            image=request.image[::8, ::8, 0].astype(float),
            models_used=("drift", *(lora.name for lora in request.loras)),
            notes=("drifts",),
            cache={"noise": "miss"},
            latents=np.full((height // 8, width // 8), float(request.seed)),
        )

    def ready(self, bucket):
        return bucket.checkpoint in self.loaded

    def activate(self, bucket):
        self._maybe_fail("activate", [])
        if bucket.checkpoint not in self.loaded:
            self.loads.append(bucket.checkpoint)
            self.loaded = {bucket.checkpoint}
        self.buckets.append(bucket)

    def predict(self, states):
        assert {state.bucket for state in states} == {self.buckets[-1]}
        self.batches.append(len(states))
        self.inside.set()
        assert self.gate.wait(60)
        self._maybe_fail("predict", states)
        if len(states) > self.room:
            raise MemoryError
        return [np.full(state.latents.shape, state.drift) for state in states]

    def advance(self, states, predictions):
        self._maybe_fail("advance", states)
        for state, prediction in zip(states, predictions, strict=True):
            state.latents = state.latents + prediction
            state.step += 1

    def preview(self, state):
        self._maybe_fail("preview", [state])
        return as_image(state.latents)

    def decode(self, state):
        self._maybe_fail("decode", [state])
        return as_image(np.kron(state.latents, np.ones((8, 8))))

    def release_memory(self):
        self.releases += 1

    def stop(self):
        self.stops += 1

    def stats(self):
        return {"drift": DRIFT}

    def _maybe_fail(self, work, states):
        if error := self.fail(work, list(states)):
            raise error


class PlainDevice:
    """A forward takes `row_bytes` per row of the batch that `family` was last given."""

    def __init__(self, family, *, asynchronous=False, row_bytes=0, free_bytes=None):
        self.asynchronous = asynchronous
        self._family, self._row_bytes, self._free_bytes = family, row_bytes, free_bytes
        self.asked = self.measures = self.paced = 0

    def inference(self):
        return nullcontext()

    def free_bytes(self):
        self.asked += 1
        return self._free_bytes

    def measured(self, work):
        self.measures += 1
        return work(), self._row_bytes * self._family.batches[-1] or None

    def keep_pace(self):
        self.paced += 1

    def release(self):
        pass


def as_image(latents):
    return np.repeat(latents.astype(np.uint8)[:, :, None], 3, axis=2)
