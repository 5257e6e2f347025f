"""Trajectory consistency sampling, arXiv 2402.19159: operation for operation that of diffusers, for a batch at once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from runners.diffusion.families.stable_diffusion.solvers.data_prediction import (
    DataPrediction,
    is_plain,
    predicted_data,
)
from runners.diffusion.families.stable_diffusion.solvers.lists import added, scaled
from runners.diffusion.families.stable_diffusion.solvers.moves import Past, Place, new_noise

GAMMA: Final = 0.3
"""How much of a step's way back is chance; the paper's letter and value, diffusers' `eta` and its default."""


@dataclass(frozen=True, kw_only=True)
class TcdStep:
    """First all the way to a moment s beyond the next timestep, then back with new noise.

    `alpha_s` and `sigma_s` are the shares of data and noise at s, `kept` and `renewed` those of what is there then and
    of new noise in the latents at the next timestep.
    """

    data: DataPrediction
    alpha_s: float
    sigma_s: float
    kept: float
    renewed: float
    last: bool

    @property
    def form(self) -> Hashable:
        return self.data.prediction_type, self.last

    def move(self, steps: Sequence[TcdStep], places: Sequence[Place]) -> list[tuple[torch.Tensor, Past]]:
        """See `SolverStep`; nothing is remembered."""
        data = scaled(predicted_data([step.data for step in steps], places), [step.alpha_s for step in steps])
        noise = scaled(self._predicted_noise(steps, places), [step.sigma_s for step in steps])
        there = added(data, noise)
        if self.last:
            return [(after, ()) for after in there]
        new = scaled(new_noise(places), [step.renewed for step in steps])
        back = added(scaled(there, [step.kept for step in steps]), new)
        return [(after, ()) for after in back]

    def _predicted_noise(self, steps: Sequence[TcdStep], places: Sequence[Place]) -> list[torch.Tensor]:
        predictions = [place.prediction for place in places]
        if self.data.prediction_type == "epsilon":
            return predictions
        return added(
            scaled(predictions, [step.data.alpha for step in steps]),
            scaled([place.latents for place in places], [step.data.sigma for step in steps]),
        )


def solver_steps(scheduler: Any, begin: int) -> list[TcdStep] | None:
    """Of a scheduler of diffusers with its timesteps, from its step `begin` on; None for a variant that is not here."""
    if not is_plain(scheduler.config):
        return None
    return [_step(scheduler, index) for index in range(begin, len(scheduler.timesteps))]


def _step(scheduler: Any, index: int) -> TcdStep:
    timesteps = scheduler.timesteps.cpu()
    last = index == len(timesteps) - 1
    following = torch.tensor(0) if last else timesteps[index + 1]
    moment = torch.floor((1 - GAMMA) * following).to(torch.long)
    alpha_next, alpha_s = scheduler.alphas_cumprod[following], scheduler.alphas_cumprod[moment]
    return TcdStep(
        data=DataPrediction.at(scheduler, timesteps[index]),
        alpha_s=float(alpha_s.sqrt()),
        sigma_s=float((1 - alpha_s).sqrt()),
        kept=float((alpha_next / alpha_s).sqrt()),
        renewed=float((1 - alpha_next / alpha_s).sqrt()),
        last=last,
    )
