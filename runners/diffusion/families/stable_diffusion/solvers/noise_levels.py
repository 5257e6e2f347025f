"""The noise levels of a scheduler of diffusers."""

from __future__ import annotations

from typing import Any

import torch


def noise_level(scheduler: Any, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The shares of data and noise, and half the log of their squared ratio, of one of its `sigmas`; each ()."""
    alpha, sigma = scheduler._sigma_to_alpha_sigma_t(scheduler.sigmas[index])
    return alpha, sigma, torch.log(alpha) - torch.log(sigma)
