"""The tiny autoencoder: a quick look at latents while they are painted."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor, nn
from torch.nn import functional

from demo_models.recipes.training import Settings
from demo_models.recipes.vae import SCALING_FACTOR, AutoencoderRecipe, as_input, cell_px, peak_ratio_db, sharp_loss
from demo_models.recipes.workdir import note_origin, weights_folder

_SETTINGS: Final = Settings(minutes=20, batch=6, learning_rate=2e-3, weight_decay=0.0, ema_decay=0.995)
_CHANNELS: Final = 24
_DISTURBANCE: Final = 0.2


class TinyTrainer(nn.Module):
    """The tiny autoencoder beside the large one's encoder, whose latents it is to read and to write."""

    def __init__(self, large: AutoencoderKL) -> None:
        """Takes the large one, whose latents are multiplied by the stock factor."""
        super().__init__()
        halvings = cell_px(large).bit_length() - 1
        tiny = AutoencoderTiny(
            encoder_block_out_channels=(_CHANNELS,) * (halvings + 1),
            decoder_block_out_channels=(_CHANNELS,) * (halvings + 1),
            num_encoder_blocks=(1,) * (halvings + 1),
            num_decoder_blocks=(*(2,) * halvings, 1),
        )
        self.tiny = tiny.to(memory_format=torch.channels_last)
        self.large = large.requires_grad_(False).to(memory_format=torch.channels_last)

    def latents(self, images: Tensor) -> Tensor:
        """Returns the large one's latents of deviation 1, of images float32 (N, 3, H, W) in -1..1."""
        mean: Tensor = self.large.encode(images).latent_dist.mean
        return mean.float() * SCALING_FACTOR

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Returns the losses of images float32 (N, 3, H, W) in -1..1."""
        with torch.no_grad():
            latents = self.latents(images)
            disturbed = latents + _DISTURBANCE * torch.rand(len(latents), 1, 1, 1) * torch.randn_like(latents)
        likeness = sharp_loss(self.tiny.decode(disturbed).sample.float(), images)
        encoding = functional.mse_loss(self.tiny.encode(images).latents.float(), latents)
        return {"loss": likeness + encoding, "likeness": likeness, "encoding": encoding}


@dataclass(frozen=True, kw_only=True)
class TinyRecipe(AutoencoderRecipe):
    """Trains the tiny autoencoder on crops of scenes."""

    large: str
    name: str = "taesd"
    settings: Settings = _SETTINGS

    def build(self) -> nn.Module:
        """Returns the module to train."""
        return TinyTrainer(AutoencoderKL.from_pretrained(weights_folder(self.large), torch_dtype=torch.float32))

    def score(self, module: nn.Module) -> Mapping[str, float]:
        """Peak signal-to-noise ratio in decibels of what it shows of held-out scenes' latents."""
        assert isinstance(module, TinyTrainer)
        images = as_input(self.held_out.take("images", np.arange(32)).astype(np.uint8))
        shown = [module.tiny.decode(module.latents(part)).sample for part in torch.split(images, 8)]
        return {"psnr_db": peak_ratio_db(torch.cat(shown), images)}

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes the tiny autoencoder."""
        assert isinstance(module, TinyTrainer)
        module.tiny.save_pretrained(folder)
        note_origin(folder, self.large)
