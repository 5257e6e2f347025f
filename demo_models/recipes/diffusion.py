"""What every recipe around the UNet shares: the noise schedule, the loss weight and a plain sampler for scoring."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, SchedulerMixin
from numpy.typing import NDArray
from torch import Tensor

from demo_models.recipes.masks import pixels_of
from demo_models.recipes.vae import SCALING_FACTOR, as_input

TRAIN_TIMESTEPS: Final = 1000
SCHEDULE: Final[dict[str, Any]] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": TRAIN_TIMESTEPS,
    "steps_offset": 1,
}
"""Stable Diffusion 1.5's."""
_HIGH_NOISE_CAP: Final = 100.0
_MIN_SNR_GAMMA: Final = 5.0
_LOW_NOISE_FLOOR: Final = 0.2

NoiseModel: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]


@lru_cache(maxsize=1)
def cumulative_alphas() -> Tensor:
    """Returns the share of signal at each timestep, float32 (1000,)."""
    betas = (
        torch.linspace(SCHEDULE["beta_start"] ** 0.5, SCHEDULE["beta_end"] ** 0.5, TRAIN_TIMESTEPS, device="cpu") ** 2
    )
    return torch.cumprod(1 - betas, dim=0)


def signal_share(timesteps: Tensor) -> Tensor:
    """Returns the share of signal at timesteps (N,), float32 (N, 1, 1, 1), where they are."""
    return cumulative_alphas().to(timesteps.device)[timesteps].view(-1, 1, 1, 1)


@lru_cache(maxsize=1)
def loss_weights() -> Tensor:
    """Returns the weight of the noise error at each timestep, float32 (1000,).

    Colours and places are decided at high noise, where a small error in epsilon is a large one in the image:
    (1 + snr) / snr, which is velocity prediction's weight, capped. With a cap of 10 the first two of twenty steps
    spoilt what the others could have done. At low noise min-SNR (Hang et al. 2023) saves capacity.
    """
    alphas = cumulative_alphas()
    snr = alphas / (1 - alphas)
    rising = ((1 + snr) / snr).clamp(max=_HIGH_NOISE_CAP)
    return rising * (_MIN_SNR_GAMMA / snr).clamp(min=_LOW_NOISE_FLOOR, max=1.0)


def stratified_timesteps(count: int) -> Tensor:
    """Returns timesteps spread evenly over the schedule in random order, long (count,): less noise in the gradient."""
    steps = (torch.arange(count) + torch.rand(count)) / count * TRAIN_TIMESTEPS
    return steps.long().clamp(0, TRAIN_TIMESTEPS - 1)[torch.randperm(count)]


def noised(latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """Returns latents (N, 4, H, W) with noise mixed in."""
    share = signal_share(timesteps)
    return share.sqrt() * latents + (1 - share).sqrt() * noise


def noise_loss(predicted: Tensor, noise: Tensor, timesteps: Tensor, cells: Tensor, outside: float) -> Tensor:
    """Returns the weighted error of predicted noise; cells outside the mask count ``outside`` as much as 1 + inside."""
    error = (predicted.float() - noise).square() * (outside + cells)
    return (error.mean((1, 2, 3)) * loss_weights().to(timesteps.device)[timesteps]).mean()


def inpaint(
    predict: NoiseModel,
    autoencoder: AutoencoderKL,
    images: NDArray[np.uint8],
    cells: NDArray[np.bool_],
    context: tuple[Tensor, Tensor],
    *,
    scheduler: SchedulerMixin | None = None,
    steps: int = 20,
    guidance_scale: float = 4.0,
    seed: int = 0,
) -> NDArray[np.uint8]:
    """Repaints masked latent cells and pastes the result back.

    Args:
        predict: Noise of (latents with mask and masked image, timestep, text context).
        autoencoder: Encodes and decodes.
        images: RGB uint8 (N, 256, 256, 3).
        cells: What to repaint, bool (N, h, w), an autoencoder's grid.
        context: Text embeddings without and with the prompt, each (N, T, D).
        scheduler: Another one than DPM-Solver++.
        steps: Denoising steps.
        guidance_scale: Weight of the prompt.
        seed: Of the noise.

    Returns:
        RGB uint8 (N, 256, 256, 3).
    """
    pixels = as_input(images)
    window = torch.from_numpy(np.stack([pixels_of(mask) for mask in cells]))[:, None]
    masked = autoencoder.encode(pixels * ~window).latent_dist.mean * SCALING_FACTOR
    mask = torch.from_numpy(cells)[:, None].float()
    scheduler = scheduler or DPMSolverMultistepScheduler(**SCHEDULE)
    scheduler.set_timesteps(steps)
    latents = torch.randn(masked.shape, generator=torch.Generator().manual_seed(seed))
    for step in scheduler.timesteps:
        stacked = torch.cat([latents, mask, masked], dim=1).repeat(2, 1, 1, 1)
        with torch.autocast("cpu", torch.bfloat16):
            free, guided = predict(stacked, step, torch.cat(context)).float().chunk(2)
        latents = scheduler.step(free + guidance_scale * (guided - free), step, latents).prev_sample
    decoded = autoencoder.decode(latents / SCALING_FACTOR).sample.clamp(-1, 1)
    merged = torch.where(window, decoded, pixels)
    image: NDArray[np.uint8] = ((merged + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    return image
