"""The engine's parts driven by hand, without its thread, so that a test sees latents and decides who shares a step."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from composition.diffusion import DiffusionRequest
from runners.diffusion.engine.step_engine import EngineParts
from runners.diffusion.families.sd15.state import RequestState


def denoise_together(
    parts: EngineParts, requests: Sequence[DiffusionRequest], *, arrive_every: int = 0
) -> list[torch.Tensor]:
    """Final latents of each request; request i joins at turn i * `arrive_every`. All must be of one bucket."""
    with torch.inference_mode():
        states: list[RequestState] = []
        turn = 0
        while len(states) < len(requests) or any(not state.done for state in states):
            while len(states) < len(requests) and len(states) * arrive_every <= turn:
                states.append(parts.preprocessor.encode(requests[len(states)]))
            active = [state for state in states if not state.done]
            if active:
                assert all(outcome.error is None for outcome in parts.stepper.step(active))
            turn += 1
        return [state.latents for state in states]


def denoise_alone(parts: EngineParts, request: DiffusionRequest) -> torch.Tensor:
    return denoise_together(parts, [request])[0]
