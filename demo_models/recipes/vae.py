"""The autoencoder: images to latents of an eighth of the size, and back."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from demo_models.recipes.shards import SceneSet
from demo_models.recipes.training import Settings
from demo_models.recipes.widening import doubled
from demo_models.recipes.workdir import start_folder, weights_folder

SCALING_FACTOR: Final = 0.18215
"""What stock configurations multiply latents by; the latents' own spread is folded into the weights to fit it."""
_CROP_PX: Final = 96
_SCORED: Final = 64
_KL_WEIGHT: Final = 5e-4
_PROBE_WEIGHT: Final = 4.0
_DISTURBANCE: Final = 0.2
"""Largest deviation of the noise in latents, whose own is 1."""
_SCALES: Final = (1, 2)
"""Edges are compared between neighbours at these sizes, in pixels."""
_EDGE: Final = 0.15
"""A difference between neighbours that an eye takes for an edge, of a range of 2."""
_SETTINGS: Final = Settings(minutes=60, batch=6, learning_rate=1.5e-3, weight_decay=0.0, ema_decay=0.995)
_DECODER_SETTINGS: Final = Settings(minutes=60, batch=6, learning_rate=1e-3, weight_decay=0.0, ema_decay=0.998)
_CONFIG: Final = {
    "block_out_channels": (16, 32, 48, 64),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "latent_channels": 4,
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "sample_size": 256,
    "mid_block_add_attention": False,
}


def cell_px(autoencoder: AutoencoderKL) -> int:
    """Returns the side of the square of pixels that one latent stands for."""
    return int(2 ** (len(autoencoder.config["block_out_channels"]) - 1))


def as_input(images: NDArray[np.uint8]) -> Tensor:
    """Returns RGB uint8 (N, H, W, 3) as float32 (N, 3, H, W) in -1..1, channels last."""
    planes = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    return planes.contiguous(memory_format=torch.channels_last)


def opponent(images: Tensor) -> Tensor:
    """Returns lightness and two colour differences, the latter doubled: plain L1 on RGB lets the colours fade."""
    red, green, blue = images.unbind(1)
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.stack([light, 2 * (red - light), 2 * (blue - light)], dim=1)


def reconstruction_loss(got: Tensor, wanted: Tensor) -> Tensor:
    """L1 on lightness and colour, on their gradients (edges stay sharp), and on 8x8 means (colours stay right)."""
    one, two = opponent(got), opponent(wanted)
    loss = functional.l1_loss(one, two)
    for axis in (2, 3):
        loss = loss + 0.5 * functional.l1_loss(one.diff(dim=axis), two.diff(dim=axis))
    return loss + 2 * functional.mse_loss(functional.avg_pool2d(one, 8), functional.avg_pool2d(two, 8))


def sharp_loss(got: Tensor, wanted: Tensor) -> Tensor:
    """L1 and squares on lightness and colour, and L1 on their gradients at two scales; (N, 3, H, W) in -1..1."""
    one, two = opponent(got), opponent(wanted)
    loss = functional.l1_loss(one, two) + functional.mse_loss(one, two)
    for scale in _SCALES:
        small, large = functional.avg_pool2d(one, scale), functional.avg_pool2d(two, scale)
        for axis in (2, 3):
            loss = loss + 0.5 * functional.l1_loss(small.diff(dim=axis), large.diff(dim=axis))
    return loss


def peak_ratio_db(got: Tensor, wanted: Tensor) -> float:
    """Returns the peak signal-to-noise ratio in decibels of images in -1..1."""
    return 10 * math.log10(4 / float(functional.mse_loss(got.clamp(-1, 1), wanted)))


def edge_loss(got: Tensor, wanted: Tensor) -> float:
    """Returns how wrong lightness differences between neighbours are, relative to their size, where there are edges.

    0 is perfect, 1 is what an image without edges gets; both (N, 3, H, W) in -1..1.
    """
    wrong, there = 0.0, 0.0
    for axis in (2, 3):
        one, two = (opponent(images)[:, 0].diff(dim=axis - 1) for images in (got, wanted))
        edges = two.abs() > _EDGE
        wrong, there = wrong + float((one - two)[edges].abs().sum()), there + float(two[edges].abs().sum())
    return wrong / there


class AutoencoderTrainer(nn.Module):
    """The autoencoder with a linear probe from its latents to mean colours.

    The probe is a short path for the gradient: without it the latents carry lightness only for a long time.
    """

    def __init__(self) -> None:
        """Starts from random weights."""
        super().__init__()
        self.autoencoder = AutoencoderKL(**_CONFIG).to(memory_format=torch.channels_last)
        self.probe = nn.Conv2d(4, 3, 1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Returns the losses of images float32 (N, 3, H, W) in -1..1."""
        posterior = self.autoencoder.encode(images).latent_dist
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        latents = mean + torch.randn_like(mean) * (0.5 * logvar).exp()
        decoded = self.autoencoder.decode(latents).sample.float()
        guess = self.probe(mean).float()
        likeness = reconstruction_loss(decoded, images)
        colour = functional.mse_loss(opponent(guess), opponent(functional.avg_pool2d(images, 8)))
        divergence = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        return {
            "loss": likeness + _PROBE_WEIGHT * colour + _KL_WEIGHT * divergence,
            "likeness": likeness,
            "colour": colour,
            "divergence": divergence,
        }


@dataclass(frozen=True, kw_only=True)
class AutoencoderRecipe:
    """Trains the autoencoder on crops of scenes."""

    scenes: SceneSet
    held_out: SceneSet
    name: str = "vae"
    settings: Settings = _SETTINGS

    def build(self) -> nn.Module:
        """Returns the module to train."""
        return AutoencoderTrainer()

    def batch(self, rng: np.random.Generator) -> Mapping[str, Tensor]:
        """Cuts a square from each of a few scenes."""
        chosen = self.scenes.take("images", rng.integers(0, len(self.scenes), self.settings.batch))
        size = chosen.shape[1] - _CROP_PX + 1
        corners = rng.integers(0, size, (self.settings.batch, 2))
        crops = [image[y : y + _CROP_PX, x : x + _CROP_PX] for image, (y, x) in zip(chosen, corners, strict=True)]
        return {"images": as_input(np.stack(crops).astype(np.uint8))}

    def score(self, module: nn.Module) -> Mapping[str, float]:
        """Peak signal-to-noise ratio of held-out scenes in decibels, and what is lost of their edges."""
        autoencoder = module.autoencoder
        assert isinstance(autoencoder, AutoencoderKL)
        wanted = as_input(self.held_out.take("images", np.arange(_SCORED)).astype(np.uint8))
        parts = []
        for images in torch.split(wanted, 8):
            with torch.autocast("cpu", torch.bfloat16):
                decoded = autoencoder.decode(autoencoder.encode(images).latent_dist.mean).sample
            parts.append(decoded.float())
        got = torch.cat(parts).clamp(-1, 1)
        return {"psnr_db": peak_ratio_db(got, wanted), "edge_loss": edge_loss(got, wanted)}

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes the autoencoder, its latents rescaled so that the stock scaling factor makes them unit normal."""
        assert isinstance(module, AutoencoderTrainer)
        scaled = copy.deepcopy(module.autoencoder)
        images = as_input(self.scenes.take("images", np.arange(0, 64)).astype(np.uint8))
        fold_scale(scaled, torch.cat([scaled.encode(part).latent_dist.mean for part in torch.split(images, 8)]))
        scaled.save_pretrained(folder)


class DecoderTrainer(nn.Module):
    """A trained autoencoder whose encoder stays as it is: latents that were made with it remain valid.

    Painted latents are never quite those of an image: the decoder learns to read disturbed ones, too.
    """

    def __init__(self, autoencoder: AutoencoderKL) -> None:
        """Takes the autoencoder."""
        super().__init__()
        self.autoencoder = autoencoder.to(memory_format=torch.channels_last)
        self.autoencoder.encoder.requires_grad_(False)
        self.autoencoder.quant_conv.requires_grad_(False)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Returns the losses of images float32 (N, 3, H, W) in -1..1."""
        with torch.no_grad():
            latents = self.autoencoder.encode(images).latent_dist.mean.float()
            disturbance = torch.rand(len(latents), 1, 1, 1) * (_DISTURBANCE / SCALING_FACTOR)
            latents = latents + disturbance * torch.randn_like(latents)
        decoded = self.autoencoder.decode(latents).sample.float()
        return {"loss": reconstruction_loss(decoded, images)}


@dataclass(frozen=True, kw_only=True)
class DecoderRecipe(AutoencoderRecipe):
    """Trains a decoder of twice the width, for sharper images; the latents that others train on stay valid."""

    name: str = "vae-decoder"
    settings: Settings = _DECODER_SETTINGS

    def build(self) -> nn.Module:
        """Returns the module to train: what an earlier training of the decoder gave, or the autoencoder made wider."""
        earlier = start_folder(self.name)
        if earlier is not None:
            return DecoderTrainer(AutoencoderKL.from_pretrained(earlier, torch_dtype=torch.float32))
        return DecoderTrainer(doubled(AutoencoderKL.from_pretrained(weights_folder("vae"))))

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes the autoencoder, old encoder and new decoder."""
        assert isinstance(module, DecoderTrainer)
        module.autoencoder.save_pretrained(folder)


def fold_scale(autoencoder: AutoencoderKL, latents: Tensor) -> None:
    """Changes the 1x1 convolutions around the latents so that sample latents get mean 0 and deviation 1 / 0.18215."""
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    factor = (1 / SCALING_FACTOR) / deviation
    before, after = autoencoder.quant_conv, autoencoder.post_quant_conv
    with torch.no_grad():
        before.weight[:4] *= factor[:, None, None, None]
        before.bias[:4] = (before.bias[:4] - mean) * factor
        before.bias[4:] += 2 * factor.log()
        after.bias += (after.weight[:, :, 0, 0] * mean[None]).sum(1)
        after.weight /= factor[None, :, None, None]


def rescale(autoencoder: AutoencoderKL, factor: float) -> AutoencoderKL:
    """Multiplies the latents by a factor, in the 1x1 convolutions around them. Returns the same autoencoder."""
    before, after = autoencoder.quant_conv, autoencoder.post_quant_conv
    with torch.no_grad():
        before.weight[:4] *= factor
        before.bias[:4] *= factor
        before.bias[4:] += 2 * math.log(factor)
        after.weight /= factor
    return autoencoder
