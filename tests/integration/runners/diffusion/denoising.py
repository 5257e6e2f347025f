"""A family driven by hand, without an engine's thread, so that a test sees latents and decides who shares a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from composition.diffusion import DiffusionRequest
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.joined import joined
from runners.diffusion.engine.row_budget import RowBudget
from runners.diffusion.engine.state import Bucket, RequestState
from runners.diffusion.engine.stepping import Stepper
from runners.diffusion.families.stable_diffusion.build import build_family
from runners.diffusion.families.stable_diffusion.components import Components
from runners.diffusion.families.stable_diffusion.family import StableDiffusionFamily
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from runners.diffusion.torch_device import TorchDevice


def family_of(components: Components, **settings: Any) -> StableDiffusionFamily:
    """With counters of its own."""
    return build_family(components, StableDiffusionSettings(**settings), Counters())


def denoise_together(
    family: StableDiffusionFamily, requests: Sequence[DiffusionRequest], *, arrive_every: int = 0
) -> list[torch.Tensor]:
    """Final latents of each request; request i joins at turn i * `arrive_every`."""
    device = TorchDevice(torch.device("cpu"))
    stepper = Stepper(family, device, RowBudget(32, device.free_bytes), Counters())
    with torch.inference_mode():
        states: list[RequestState] = []
        turn = 0
        while len(states) < len(requests) or any(not state.done for state in states):
            while len(states) < len(requests) and len(states) * arrive_every <= turn:
                states.append(joined([family.encode(region) for region in requests[len(states)].regions]))
            batches: dict[Bucket, list[RequestState]] = {}
            for state in states:
                if not state.done:
                    batches.setdefault(state.bucket, []).append(state)
            for batch in batches.values():
                outcomes = stepper.step(batch)
                assert all(outcome.error is None for outcome in outcomes)
            turn += 1
        return [state.canvas.latents for state in states]


def denoise_alone(family: StableDiffusionFamily, request: DiffusionRequest) -> torch.Tensor:
    return denoise_together(family, [request])[0]
