"""The UNet and its text encoder: what stands in the masked cells, given the words?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from models_store.demo.recipes.diffusion import NoiseModel, inpaint, noise_loss, noised, stratified_timesteps
from models_store.demo.recipes.edit_scores import (
    edit_cells,
    generation_prompt,
    held_out_edits,
    share_halfway,
    write_sheet,
)
from models_store.demo.recipes.latents import LatentSet
from models_store.demo.recipes.masks import VARIANTS
from models_store.demo.recipes.training import Settings
from models_store.demo.recipes.vocabulary import prompt_for, write_clip_tokenizer
from models_store.demo.recipes.workdir import weights_folder, workdir
from models_store.demo.world.captions import caption
from models_store.demo.world.cars import Car
from models_store.demo.world.edits import MATERIAL, RECOLOUR
from models_store.demo.world.scenes import SceneSpec

TEXT_WIDTH: Final = 128
CHANNELS: Final = (64, 128, 192)
_SETTINGS: Final = Settings(minutes=360, learning_rate=1e-3, ema_decay=0.999, warmup_steps=60)
_BATCH: Final = 16
_OUTSIDE_WEIGHT: Final = 0.2
_TOKENS: Final = 77
_SCORED_EDITS: Final = 24


def new_unet() -> UNet2DConditionModel:
    """Returns a nine-channel inpainting UNet with three levels: 32, 16 and 8 cells a side."""
    return UNet2DConditionModel(
        sample_size=32,
        in_channels=9,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=CHANNELS,
        norm_num_groups=16,
        attention_head_dim=4,
        cross_attention_dim=TEXT_WIDTH,
        down_block_types=("CrossAttnDownBlock2D",) * 3,
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    ).to(memory_format=torch.channels_last)


def new_text_encoder(vocabulary: int) -> CLIPTextModel:
    """Returns a CLIP text model of three layers; the start and end marks are the last two ids, as in the real one."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=_TOKENS,
            projection_dim=TEXT_WIDTH,
            bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1,
            pad_token_id=vocabulary - 1,
        )
    )


@lru_cache(maxsize=1)
def clip_tokenizer() -> CLIPTokenizer:
    """Returns the tokenizer of the text encoder, written on first use."""
    folder = workdir() / "tokenizers" / "clip"
    if not (folder / "vocab.json").exists():
        write_clip_tokenizer(folder)
    return CLIPTokenizer.from_pretrained(folder)


@lru_cache(maxsize=20_000)
def _ids(prompt: str) -> Tensor:
    encoded = clip_tokenizer()(prompt, padding="max_length", max_length=_TOKENS, truncation=True)
    return torch.tensor(encoded.input_ids)


def token_ids(prompts: Sequence[str]) -> Tensor:
    """Returns the padded ids of prompts, long (N, 77)."""
    return torch.stack([_ids(prompt) for prompt in prompts])


def training_prompt(spec: SceneSpec, label: str, rng: np.random.Generator) -> str:
    """Describes what a training mask hides."""
    if isinstance(spec.subject, Car) and label in ("rims", "wheels"):
        rim = spec.subject.rim
        words = str(rng.choice([rim.phrase, f"car with {rim.phrase}", f"{rim.colour} rims", "sport rims", "wheels"]))
        return prompt_for(words, rng)
    return prompt_for(caption(spec, rng), rng)


class InpaintingTrainer(nn.Module):
    """UNet and text encoder, trained together."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        """Takes both models."""
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder

    def forward(
        self, whole: Tensor, masked: Tensor, cells: Tensor, timesteps: Tensor, input_ids: Tensor
    ) -> dict[str, Tensor]:
        """Returns the loss of predicting the noise in latents (N, 4, 32, 32)."""
        noise = torch.randn_like(whole)
        stacked = torch.cat([noised(whole, noise, timesteps), cells, masked], dim=1)
        context = self.text_encoder(input_ids)[0]
        predicted = self.unet(stacked.contiguous(memory_format=torch.channels_last), timesteps, context).sample
        return {"loss": noise_loss(predicted, noise, timesteps, cells, _OUTSIDE_WEIGHT)}


def latent_batch(latents: LatentSet, indices: np.ndarray, variants: np.ndarray) -> dict[str, Tensor]:
    """Returns latents, masked latents and masks of chosen scenes and mask variants, float32."""
    return {
        "whole": torch.from_numpy(latents.whole[indices, variants]).float(),
        "masked": torch.from_numpy(latents.masked[indices, variants]).float(),
        "cells": torch.from_numpy(latents.cells[indices, variants])[:, None].float(),
    }


@dataclass(kw_only=True)
class InpaintingRecipe:
    """Trains the UNet and the text encoder on the latents that are there; more may be added while it runs."""

    latents_folder: Path
    name: str = "inpainting"
    settings: Settings = _SETTINGS
    _latents: LatentSet | None = None
    _drawn: int = 0

    def build(self) -> nn.Module:
        """Returns the module to train."""
        return InpaintingTrainer(new_unet(), new_text_encoder(len(clip_tokenizer())))

    def batch(self, rng: np.random.Generator) -> Mapping[str, Tensor]:
        """Draws scenes, masks, words and timesteps."""
        if self._drawn % 200 == 0:
            self._latents = LatentSet.reopened(self.latents_folder, self._latents)
        self._drawn += 1
        assert self._latents is not None
        latents = self._latents
        indices, variants = rng.integers(0, len(latents), _BATCH), rng.choice(VARIANTS, _BATCH)
        prompts = [
            training_prompt(latents.spec(index), latents.labels[index][variant], rng)
            for index, variant in zip(indices, variants, strict=True)
        ]
        extra = {"timesteps": stratified_timesteps(_BATCH), "input_ids": token_ids(prompts)}
        return latent_batch(latents, indices, variants) | extra

    def score(self, module: nn.Module) -> Mapping[str, float]:
        """Share of held-out recolour and material edits whose colour comes halfway; writes a sheet of them."""
        assert isinstance(module, InpaintingTrainer)
        autoencoder = AutoencoderKL.from_pretrained(weights_folder("vae")).eval()
        scores: dict[str, float] = {}
        for kind in (RECOLOUR, MATERIAL):
            for boxed in (False, True):
                pairs = held_out_edits(kind, _SCORED_EDITS if not boxed else _SCORED_EDITS // 2)
                cells = np.stack([edit_cells(pair, boxed) for pair in pairs])
                prompts = [generation_prompt(pair) for pair in pairs]
                results = []
                for first in range(0, len(pairs), 6):
                    part = slice(first, first + 6)
                    images = np.stack([pair.before.image for pair in pairs[part]])
                    context = embed([""] * len(images), module), embed(prompts[part], module)
                    results += list(inpaint(_predictor(module), autoencoder, images, cells[part], context))
                suffix = "_box" if boxed else ""
                scores[f"{kind}{suffix}"] = share_halfway(pairs, results)
                write_sheet(pairs, list(cells), results, workdir() / "runs" / self.name / f"{kind}{suffix}.png")
        return scores

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes UNet, text encoder and tokenizer in sub-folders."""
        assert isinstance(module, InpaintingTrainer)
        module.unet.save_pretrained(folder / "unet")
        module.text_encoder.save_pretrained(folder / "text_encoder")
        write_clip_tokenizer(folder / "tokenizer")


def embed(prompts: Sequence[str], module: InpaintingTrainer) -> Tensor:
    """Returns the text context (N, 77, D) of prompts."""
    context: Tensor = module.text_encoder(token_ids(prompts))[0]
    return context


def _predictor(module: InpaintingTrainer) -> NoiseModel:
    def predict(stacked: Tensor, timestep: Tensor, context: Tensor) -> Tensor:
        noise: Tensor = module.unet(stacked, timestep, context).sample
        return noise

    return predict
