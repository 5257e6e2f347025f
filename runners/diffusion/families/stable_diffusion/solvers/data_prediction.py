"""A model's prediction -> the data that it stands for, x0, as the schedulers of diffusers compute it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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

    @classmethod
    def at(cls, scheduler: Any, timestep: Any) -> DataPrediction:
        """At one of the moments that a consistency model's scheduler was trained at."""
        alpha = scheduler.alphas_cumprod[timestep]
        return cls(
            prediction_type=scheduler.config.prediction_type,
            alpha=float(alpha.sqrt()),
            sigma=float((1 - alpha).sqrt()),
        )


def is_plain(config: Any) -> bool:
    """Whether a consistency model's scheduler does to the data nothing but what `predicted_data` does."""
    return config.prediction_type in PREDICTION_TYPES and not (config.thresholding or config.clip_sample)


def predicted_data(steps: Sequence[DataPrediction], places: Sequence[Place]) -> list[torch.Tensor]:
    """For predictions of one type; in the number format of the latents."""
    alphas, latents = [step.alpha for step in steps], [place.latents for place in places]
    noise = scaled([place.prediction for place in places], [step.sigma for step in steps])
    if steps[0].prediction_type == "epsilon":
        return divided(subtracted(latents, noise), alphas)
    return subtracted(scaled(latents, alphas), noise)
