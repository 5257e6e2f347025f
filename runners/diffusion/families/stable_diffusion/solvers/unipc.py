"""UniPC of second order with B2(h), arXiv 2302.04867: operation for operation that of diffusers, for a batch at once.

A step corrects the latents with what the model has just said of them, then predicts the next ones.
"""

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
from runners.diffusion.families.stable_diffusion.solvers.lists import Tensors, added, divided, scaled, subtracted
from runners.diffusion.families.stable_diffusion.solvers.moves import Past, Place
from runners.diffusion.families.stable_diffusion.solvers.noise_levels import noise_level

_ORDER = 2


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """From one noise level to the next.

    Attributes:
        keep, gain: weights of latents and data; the latter also of the sum of the changes.
        ratio: of the steps in half the log of the signal-to-noise ratio; None for a stretch of first order.
        rhos: weights of the earlier change and of the newest.
    """

    keep: float
    gain: float
    ratio: float | None
    rhos: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class UniPCStep:
    """`corrected` is the stretch behind; None at the first step."""

    data: DataPrediction
    corrected: Stretch | None
    predicted: Stretch

    @property
    def form(self) -> Hashable:
        behind = None if self.corrected is None else self.corrected.ratio is None
        return self.data.prediction_type, behind, self.predicted.ratio is None

    def move(self, steps: Sequence[UniPCStep], places: Sequence[Place]) -> list[tuple[torch.Tensor, Past]]:
        """See `SolverStep`; the past is the last step's corrected latents, its data, and the data before."""
        data = predicted_data([step.data for step in steps], places)
        latents: Tensors = [place.latents for place in places]
        if self.corrected is not None:
            behind = [step.corrected for step in steps if step.corrected is not None]
            latents = _corrected(behind, [place.past for place in places], data)
        ahead = [step.predicted for step in steps]
        moved = _straight(ahead, latents, data)
        if self.predicted.ratio is not None:
            changes = _changes(ahead, [place.past[1] for place in places], data)
            bends = scaled(changes, [one.rhos[0] for one in ahead])
            moved = subtracted(moved, scaled(bends, [one.gain for one in ahead]))
        pasts = [(here, x0, *place.past[1:2]) for here, x0, place in zip(latents, data, places, strict=True)]
        return list(zip(moved, pasts, strict=True))


def _corrected(behind: Sequence[Stretch], pasts: Sequence[Past], data: Tensors) -> list[torch.Tensor]:
    before = [past[1] for past in pasts]
    straight = _straight(behind, [past[0] for past in pasts], before)
    bends = scaled(subtracted(data, before), [one.rhos[1] for one in behind])
    if behind[0].ratio is not None:
        changes = _changes(behind, [past[2] for past in pasts], before)
        bends = added(scaled(changes, [one.rhos[0] for one in behind]), bends)
    return subtracted(straight, scaled(bends, [one.gain for one in behind]))


def _straight(stretches: Sequence[Stretch], latents: Tensors, data: Tensors) -> list[torch.Tensor]:
    kept = scaled(latents, [one.keep for one in stretches])
    return subtracted(kept, scaled(data, [one.gain for one in stretches]))


def _changes(stretches: Sequence[Stretch], earlier: Tensors, later: Tensors) -> list[torch.Tensor]:
    return divided(subtracted(earlier, later), [one.ratio or 1.0 for one in stretches])


def solver_steps(scheduler: Any, begin: int, dtype: torch.dtype) -> list[UniPCStep] | None:
    """Of a diffusers scheduler with its timesteps set, from its step `begin` on; None for a variant that is not here.

    `dtype` is that of the latents: the weights of the changes are rounded to it, as they are there.
    """
    config = scheduler.config
    known = (
        config.solver_type == "bh2"
        and config.solver_order == _ORDER
        and config.prediction_type in PREDICTION_TYPES
        and config.lower_order_final
        and scheduler.predict_x0
        and not (config.thresholding or scheduler.disable_corrector or scheduler.solver_p)
    )
    if not known:
        return None
    steps: list[UniPCStep] = []
    order = 0
    for index in range(begin, len(scheduler.timesteps)):
        corrected = _stretch(scheduler, index - 1, order, dtype, corrects=True) if order else None
        order = min(_ORDER, len(scheduler.timesteps) - index, order + 1)
        alpha, sigma, _ = noise_level(scheduler, index)
        steps.append(
            UniPCStep(
                data=DataPrediction(prediction_type=config.prediction_type, alpha=float(alpha), sigma=float(sigma)),
                corrected=corrected,
                predicted=_stretch(scheduler, index, order, dtype),
            )
        )
    return steps


def _stretch(scheduler: Any, index: int, order: int, dtype: torch.dtype, *, corrects: bool = False) -> Stretch:
    """From the scheduler's noise level `index` to the next."""
    alpha_t, sigma_t, lambda_t = noise_level(scheduler, index + 1)
    _, sigma, lambda_s = noise_level(scheduler, index)
    h = lambda_t - lambda_s
    growth = torch.expm1(-h)
    ratio = None if order == 1 else (noise_level(scheduler, index - 1)[2] - lambda_s) / h
    return Stretch(
        keep=float(sigma_t / sigma),
        gain=float(alpha_t * growth),
        ratio=None if ratio is None else float(ratio),
        rhos=_rhos(-h, growth, ratio, dtype) if corrects else (0.5, 0.5),
    )


def _rhos(
    hh: torch.Tensor, growth: torch.Tensor, ratio: torch.Tensor | None, dtype: torch.dtype
) -> tuple[float, float]:
    """Of a corrector; at first order half of the newest change."""
    if ratio is None:
        return 0.5, 0.5
    ratios = torch.stack([ratio, torch.ones(())])
    first = growth / hh - 1
    second = first / hh - 1 / 2
    weights = torch.linalg.solve(
        torch.stack([torch.pow(ratios, 0), torch.pow(ratios, 1)]),
        torch.stack([first / growth, second * 2 / growth]),
    ).to(dtype)
    return float(weights[0]), float(weights[1])
