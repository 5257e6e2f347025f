"""The LoRA for a few steps: the UNet learns to say at every noise what it would say one step of the solver later.

Latent consistency distillation (Luo et al. 2023, arXiv:2310.04378; as a LoRA: arXiv:2311.05556). The teacher is the
UNet without the LoRA, with guidance; the student needs none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from diffusers import AutoencoderKL, LCMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import Tensor, nn
from transformers import CLIPTextModel

from demo_models.recipes.diffusion import SCHEDULE, TRAIN_TIMESTEPS, inpaint, noised, signal_share
from demo_models.recipes.edit_scores import edit_cells, generation_prompt, held_out_edits, share_halfway, write_sheet
from demo_models.recipes.inpainting import InpaintingRecipe, token_ids
from demo_models.recipes.masks import SILHOUETTE
from demo_models.recipes.training import Settings
from demo_models.recipes.vae import cell_px
from demo_models.recipes.workdir import note_origin, trained_folder, weights_folder, workdir
from demo_models.world.edits import RECOLOUR

_SETTINGS: Final = Settings(minutes=60, batch=16, learning_rate=4e-4, weight_decay=0.0, ema_decay=0.99)
_RANK: Final = 8
_LAYERS: Final = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "conv1", "conv2", "time_emb_proj")
_SOLVER_STEP: Final = TRAIN_TIMESTEPS // 50
"""Timesteps from one evaluation of the teacher to the next: those of LCMScheduler."""
_GUIDANCE: Final = (5.0, 9.0)
_OUTSIDE_WEIGHT: Final = 0.2
_HUBER: Final = 1e-3
_EDITS: Final = 12
_FEW_STEPS: Final = 4


def boundary(timesteps: Tensor) -> tuple[Tensor, Tensor]:
    """Returns how much of the noisy latents and of the guess the answer takes, (N, 1, 1, 1) each; LCMScheduler's."""
    scaled = 10.0 * timesteps.float().view(-1, 1, 1, 1)
    root = (scaled.square() + 0.25).sqrt()
    return 0.25 / root.square(), scaled / root


def solver_step(latents: Tensor, noise: Tensor, timesteps: Tensor, later: Tensor) -> Tensor:
    """Returns latents (N, 4, H, W) one DDIM step on, from ``timesteps`` to ``later``, given the noise in them."""
    share, next_share = signal_share(timesteps), signal_share(later)
    return next_share.sqrt() * without_noise(latents, noise, share) + (1 - next_share).sqrt() * noise


def without_noise(latents: Tensor, noise: Tensor, share: Tensor) -> Tensor:
    """Returns what remains of latents when noise that was mixed in with a share of signal is taken out."""
    return (latents - (1 - share).sqrt() * noise) / share.sqrt()


class LcmTrainer(nn.Module):
    """The UNet with a LoRA beside its frozen weights, and the frozen text encoder."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        """Takes both, trained."""
        super().__init__()
        self.unet = unet.requires_grad_(False).to(memory_format=torch.channels_last)
        self.unet.add_adapter(LoraConfig(r=_RANK, lora_alpha=_RANK, target_modules=list(_LAYERS)))
        self.text_encoder = text_encoder.requires_grad_(False)

    def noise(self, stacked: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        """Returns the predicted noise of latents, mask and masked latents, float32 (N, 9, H, W)."""
        predicted: Tensor = self.unet(stacked.contiguous(memory_format=torch.channels_last), timesteps, context).sample
        return predicted.float()

    def forward(
        self, whole: Tensor, masked: Tensor, cells: Tensor, timesteps: Tensor, input_ids: Tensor, blank_ids: Tensor
    ) -> dict[str, Tensor]:
        """Returns how far the student's answer is from its own one solver step later."""
        timesteps = (timesteps // _SOLVER_STEP + 1) * _SOLVER_STEP - 1
        later = (timesteps - _SOLVER_STEP).clamp(min=0)
        context, blank = self.text_encoder(input_ids)[0], self.text_encoder(blank_ids)[0]
        latents = noised(whole, torch.randn_like(whole), timesteps)
        with torch.no_grad():
            self.unet.disable_adapters()
            twice = torch.cat([latents, cells, masked], dim=1).repeat(2, 1, 1, 1)
            free, guided = self.noise(twice, timesteps.repeat(2), torch.cat([blank, context])).chunk(2)
            self.unet.enable_adapters()
            low, high = _GUIDANCE
            scale = low + (high - low) * torch.rand(len(whole), 1, 1, 1)
            onward = solver_step(latents, free + scale * (guided - free), timesteps, later)
            target = self._answer(onward, cells, masked, later, context)
        error = self._answer(latents, cells, masked, timesteps, context) - target
        distance = (error.square() + _HUBER**2).sqrt() - _HUBER
        return {"loss": (distance * (_OUTSIDE_WEIGHT + cells)).mean()}

    def _answer(self, latents: Tensor, cells: Tensor, masked: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        noise = self.noise(torch.cat([latents, cells, masked], dim=1), timesteps, context)
        keep, take = boundary(timesteps)
        return keep * latents + take * without_noise(latents, noise, signal_share(timesteps))


@dataclass(kw_only=True)
class LcmRecipe(InpaintingRecipe):
    """Distils the LoRA from trained painting networks, on words alone."""

    painter: str
    name: str = "lcm-lora"
    settings: Settings = _SETTINGS
    reference_share: float = 0.0

    def build(self) -> nn.Module:
        """Returns the module to train."""
        folder = trained_folder(self.painter)
        unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
        return LcmTrainer(unet, CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32))

    def batch(self, rng: np.random.Generator) -> Mapping[str, Any]:
        """Draws scenes, masks, words and timesteps, and the empty prompt."""
        drawn = dict(super().batch(rng))
        return {**drawn, "blank_ids": token_ids([""]).repeat(len(drawn["whole"]), 1)}

    def score(self, module: nn.Module) -> Mapping[str, float]:
        """Share of held-out recolours whose colour comes halfway in four steps without guidance; writes a sheet."""
        assert isinstance(module, LcmTrainer)
        autoencoder = AutoencoderKL.from_pretrained(weights_folder(self.autoencoder)).eval()
        pairs = held_out_edits(RECOLOUR, _EDITS)
        cells = np.stack([edit_cells(pair, SILHOUETTE, cell_px(autoencoder)) for pair in pairs])
        blank, words = (
            module.text_encoder(token_ids(prompts))[0]
            for prompts in ([""] * len(pairs), [generation_prompt(pair) for pair in pairs])
        )
        images = np.stack([pair.before.image for pair in pairs])
        results = inpaint(
            module.noise,
            autoencoder,
            images,
            cells,
            (blank, words),
            scheduler=LCMScheduler(**SCHEDULE),
            steps=_FEW_STEPS,
            guidance_scale=1.0,
        )
        sheet = workdir() / "runs" / self.name / "recolour.png"
        sheet.parent.mkdir(parents=True, exist_ok=True)
        write_sheet(pairs, list(cells), list(results), sheet)
        return {"recolour_in_4_steps": share_halfway(pairs, list(results))}

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes the LoRA to one file, under the published one's name."""
        assert isinstance(module, LcmTrainer)
        StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=get_peft_model_state_dict(module.unet))
        note_origin(folder, self.painter)
