"""The autoencoder again, at half the compression: images to latents of a quarter of the size, and back.

**coarse** autoencoder (an eighth) -> **fine** autoencoder (a quarter). The mean of every 2 x 2 fine latents is held to
the coarse latent of the same place: whatever paints coarse latents then already paints the fine ones' low band, and has
only their detail to learn (`deepening.py`).
"""

import copy
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.nn import functional

from demo_models.recipes.training import Settings
from demo_models.recipes.vae import SCALING_FACTOR, AutoencoderRecipe, rescale, sharp_loss
from demo_models.recipes.workdir import start_folder, trained_folder

COARSE: Final = "vae-decoder"
"""The coarse autoencoder made wide; its latents are the narrow one's."""
_SETTINGS: Final = Settings(minutes=240, batch=6, learning_rate=1e-3, weight_decay=0.0, ema_decay=0.998)
_KL_WEIGHT: Final = 2e-4
_ANCHOR_WEIGHT: Final = 0.2
_DISTURBANCE: Final = 0.1
"""Largest deviation of the noise in latents, whose own is about 1."""
_OUTER: Final = re.compile(r"up_blocks\.(\d+)\.")


def low_band(latents: Tensor) -> Tensor:
    """Returns half the sums of 2 x 2 fine latents (N, 4, 2H, 2W), (N, 4, H, W): the low band of noise is noise."""
    return 2 * functional.avg_pool2d(latents, 2)


def shallower(coarse: AutoencoderKL) -> AutoencoderKL:
    """Returns an autoencoder without the innermost level, begun with what fits of another one's weights.

    Not with the convolutions around the latents: those carry the other's scale.
    """
    config: dict[str, Any] = {name: value for name, value in coarse.config.items() if not name.startswith("_")}
    for name in ("block_out_channels", "down_block_types", "up_block_types"):
        config[name] = config[name][:-1]
    fine = AutoencoderKL(**config)
    old, new = coarse.state_dict(), fine.state_dict()
    moved = {_OUTER.sub(lambda level: f"up_blocks.{int(level[1]) - 1}.", name): tensor for name, tensor in old.items()}
    fitting = {
        name: tensor
        for name, tensor in moved.items()
        if name in new and new[name].shape == tensor.shape and "quant_conv" not in name
    }
    fine.load_state_dict(fitting, strict=False)
    return fine


class FineAutoencoderTrainer(nn.Module):
    """The fine autoencoder beside the coarse one's encoder, which stays as it is. Latents are scaled to deviation 1."""

    def __init__(self, autoencoder: AutoencoderKL, coarse: AutoencoderKL) -> None:
        """Takes both; the fine one's weights give latents of deviation 1, the coarse one's are as published."""
        super().__init__()
        self.autoencoder = autoencoder.to(memory_format=torch.channels_last)
        coarse.decoder, coarse.post_quant_conv = None, None
        self.coarse = coarse.requires_grad_(False).to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Returns the losses of images float32 (N, 3, H, W) in -1..1."""
        with torch.no_grad():
            anchor = self.coarse.encode(images).latent_dist.mean.float() * SCALING_FACTOR
        posterior = self.autoencoder.encode(images).latent_dist
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        disturbance = torch.rand(len(mean), 1, 1, 1) * _DISTURBANCE
        latents = mean + torch.randn_like(mean) * (logvar.exp() + disturbance.square()).sqrt()
        decoded = self.autoencoder.decode(latents).sample.float()
        likeness = sharp_loss(decoded, images)
        anchoring = functional.mse_loss(low_band(mean), anchor)
        divergence = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        detail = mean - functional.interpolate(functional.avg_pool2d(mean, 2), scale_factor=2)
        return {
            "loss": likeness + _ANCHOR_WEIGHT * anchoring + _KL_WEIGHT * divergence,
            "likeness": likeness,
            "anchoring": anchoring,
            "divergence": divergence,
            "detail": detail.square().mean(),
        }


@dataclass(frozen=True, kw_only=True)
class FineAutoencoderRecipe(AutoencoderRecipe):
    """Trains the fine autoencoder on crops of scenes, from what the coarse one has learnt."""

    name: str = "vae-fine"
    settings: Settings = _SETTINGS

    def build(self) -> nn.Module:
        """Returns the module to train."""
        coarse = AutoencoderKL.from_pretrained(trained_folder(COARSE), torch_dtype=torch.float32)
        earlier = start_folder(self.name)
        if earlier is None:
            return FineAutoencoderTrainer(shallower(coarse), coarse)
        fine = AutoencoderKL.from_pretrained(earlier, torch_dtype=torch.float32)
        return FineAutoencoderTrainer(rescale(fine, SCALING_FACTOR), coarse)

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes the autoencoder, its latents multiplied so that the stock scaling factor undoes it."""
        assert isinstance(module, FineAutoencoderTrainer)
        rescale(copy.deepcopy(module.autoencoder), 1 / SCALING_FACTOR).save_pretrained(folder)
