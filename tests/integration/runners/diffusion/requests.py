"""Requests on made-up images."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from composition.diffusion import ControlInput, DiffusionRequest, DiffusionResult, ReferenceInput
from composition.request import ControlType
from runners.diffusion.engine.step_engine import StepEngine
from tests.fakes.fake_listener import FakeListener

SIDE = 64
_numbers = itertools.count()


def photo(seed: int, height: int = SIDE, width: int = SIDE) -> Any:
    """Smooth random colours, (height, width, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((8, 8, 1), dtype=np.uint8))


def request(seed: int = 1, *, height: int = SIDE, width: int = SIDE, **changes: Any) -> DiffusionRequest:
    """A small edit of the image's middle; `changes` replace fields.

    References that are images are taken together, at `ip_adapter_scale`.
    """
    scale, images = changes.pop("ip_adapter_scale", 0.0), changes.get("references", ())
    if images and not isinstance(images[0], ReferenceInput):
        changes["references"] = (ReferenceInput(images=images, scale=scale),)
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 255
    values: dict[str, Any] = {
        "request_id": f"request-{next(_numbers)}",
        "image": photo(seed, height, width),
        "mask": mask,
        "prompt": "replace the wheel rims",
        "negative_prompt": "blurry",
        "num_inference_steps": 4,
        "guidance_scale": 7.5,
        "seed": seed,
    }
    return DiffusionRequest(**{**values, **changes})


def control(seed: int, scale: float = 1.0, start: float = 0.0, end: float = 1.0) -> ControlInput:
    return ControlInput(image=photo(seed), scale=scale, start=start, end=end)


def both_controls() -> dict[ControlType, ControlInput]:
    return {"pose": control(101, 0.8), "depth": control(102, 0.5)}


def run(engine: StepEngine, *requests: DiffusionRequest) -> list[DiffusionResult]:
    """All at once; their results in order."""
    listeners = [FakeListener() for _ in requests]
    for one, listener in zip(requests, listeners, strict=True):
        engine.submit(one, listener)
    return [listener.result() for listener in listeners]
