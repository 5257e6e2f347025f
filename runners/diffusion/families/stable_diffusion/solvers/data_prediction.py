"""A model's prediction -> the data that it stands for, x0, as the schedulers of diffusers compute it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from runners.diffusion.families.stable_diffusion.solvers.lists import divided, scaled, subtracted
from runners.diffusion.families.stable_diffusion.solvers.moves import Place

PREDICTION_TYPES = ("epsilon", "v_prediction")


@dataclass(frozen=True, kw_only=True)
class DataPrediction:
    """Of one step: `alpha` and `sigma` are the shares of data and noise in its latents."""

    prediction_type: str
    alpha: float
    sigma: float


def predicted_data(steps: Sequence[DataPrediction], places: Sequence[Place]) -> list[torch.Tensor]:
    """For predictions of one type; in the number format of the latents."""
    alphas, latents = [step.alpha for step in steps], [place.latents for place in places]
    noise = scaled([place.prediction for place in places], [step.sigma for step in steps])
    if steps[0].prediction_type == "epsilon":
        return divided(subtracted(latents, noise), alphas)
    return subtracted(scaled(latents, alphas), noise)
