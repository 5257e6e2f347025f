"""Latent consistency sampling, arXiv 2310.04378: operation for operation that of diffusers, for a batch at once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from runners.diffusion.families.stable_diffusion.solvers.data_prediction import (
    DataPrediction,
    is_plain,
    predicted_data,
)
from runners.diffusion.families.stable_diffusion.solvers.lists import added, scaled
from runners.diffusion.families.stable_diffusion.solvers.moves import Past, Place, new_noise


@dataclass(frozen=True, kw_only=True)
class LcmStep:
    """`out` and `skip` are the boundary scalings; `alpha_next` and `sigma_next` weigh what is made and new noise."""

    data: DataPrediction
    out: float
    skip: float
    alpha_next: float
    sigma_next: float
    last: bool

    @property
    def form(self) -> Hashable:
        return self.data.prediction_type, self.last

    def move(self, steps: Sequence[LcmStep], places: Sequence[Place]) -> list[tuple[torch.Tensor, Past]]:
        """See `SolverStep`; nothing is remembered."""
        data = scaled(predicted_data([step.data for step in steps], places), [step.out for step in steps])
        denoised = added(data, scaled([place.latents for place in places], [step.skip for step in steps]))
        if self.last:
            return [(after, ()) for after in denoised]
        noise = new_noise(places)
        moved = added(
            scaled(denoised, [step.alpha_next for step in steps]), scaled(noise, [step.sigma_next for step in steps])
        )
        return [(after, ()) for after in moved]


def solver_steps(scheduler: Any, begin: int) -> list[LcmStep] | None:
    """Of a scheduler of diffusers with its timesteps, from its step `begin` on; None for a variant that is not here."""
    if not is_plain(scheduler.config):
        return None
    return [_step(scheduler, index) for index in range(begin, len(scheduler.timesteps))]


def _step(scheduler: Any, index: int) -> LcmStep:
    timesteps = scheduler.timesteps.cpu()
    last = index == len(timesteps) - 1
    alpha_next = scheduler.alphas_cumprod[timesteps[index if last else index + 1]]
    skip, out = scheduler.get_scalings_for_boundary_condition_discrete(timesteps[index])
    return LcmStep(
        data=DataPrediction.at(scheduler, timesteps[index]),
        out=float(out),
        skip=float(skip),
        alpha_next=float(alpha_next.sqrt()),
        sigma_next=float((1 - alpha_next).sqrt()),
        last=last,
    )
