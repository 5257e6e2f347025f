"""DPM-Solver++(2M), arXiv 2211.01095, midpoint: operation for operation that of diffusers, for a batch at once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from runners.diffusion.families.stable_diffusion.solvers.data_prediction import (
    PREDICTION_TYPES,
    DataPrediction,
    predicted_data,
)
from runners.diffusion.families.stable_diffusion.solvers.lists import in_format, scaled, subtracted
from runners.diffusion.families.stable_diffusion.solvers.moves import Past, Place
from runners.diffusion.families.stable_diffusion.solvers.noise_levels import noise_level

_ORDER = 2
_FEW_STEPS = 15
"""diffusers lowers the order at the end of a shorter schedule."""


@dataclass(frozen=True, kw_only=True)
class DpmSolverStep:
    """`keep` and `gain` weigh latents and data; `slope` the change of the data, None for a step of first order."""

    data: DataPrediction
    keep: float
    gain: float
    half_gain: float
    slope: float | None

    @property
    def form(self) -> Hashable:
        return self.data.prediction_type, self.slope is None

    def move(self, steps: Sequence[DpmSolverStep], places: Sequence[Place]) -> list[tuple[torch.Tensor, Past]]:
        """See `SolverStep`; the past is the last step's data."""
        data = predicted_data([step.data for step in steps], places)
        wide = in_format([place.latents for place in places], torch.float32)
        kept = scaled(wide, [step.keep for step in steps])
        moved = subtracted(kept, scaled(data, [step.gain for step in steps]))
        if self.slope is not None:
            changes = subtracted(data, [place.past[0] for place in places])
            slopes = scaled(changes, [step.slope or 0.0 for step in steps])
            moved = subtracted(moved, scaled(slopes, [step.half_gain for step in steps]))
        latents = in_format(moved, data[0].dtype)
        return [(after, (x0,)) for after, x0 in zip(latents, data, strict=True)]


def solver_steps(scheduler: Any, begin: int) -> list[DpmSolverStep] | None:
    """Of a scheduler of diffusers with its timesteps, from its step `begin` on; None for a variant that is not here."""
    config = scheduler.config
    known = (
        config.algorithm_type == "dpmsolver++"
        and config.solver_type == "midpoint"
        and config.solver_order == _ORDER
        and config.prediction_type in PREDICTION_TYPES
        and config.variance_type is None
        and not config.thresholding
    )
    return [_step(scheduler, index, begin) for index in range(begin, len(scheduler.timesteps))] if known else None


def _step(scheduler: Any, index: int, begin: int) -> DpmSolverStep:
    config, count = scheduler.config, len(scheduler.timesteps)
    last = index == count - 1
    euler = last and (
        config.euler_at_final or (config.lower_order_final and count < _FEW_STEPS) or config.final_sigmas_type == "zero"
    )
    alpha_t, sigma_t, lambda_t = noise_level(scheduler, index + 1)
    alpha, sigma, lambda_s = noise_level(scheduler, index)
    h = lambda_t - lambda_s
    gain = alpha_t * (torch.exp(-h) - 1.0)
    slope = None
    if index > begin and not euler:
        _, _, lambda_before = noise_level(scheduler, index - 1)
        slope = float(1.0 / ((lambda_s - lambda_before) / h))
    return DpmSolverStep(
        data=DataPrediction(prediction_type=config.prediction_type, alpha=float(alpha), sigma=float(sigma)),
        keep=float(sigma_t / sigma),
        gain=float(gain),
        half_gain=float(0.5 * gain),
        slope=slope,
    )
