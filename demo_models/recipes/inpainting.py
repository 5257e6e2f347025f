"""The networks that paint: what stands in the masked cells, given words, a reference image, depth or a pose?

Two recipes. The first trains UNet, text encoder and IP-Adapter with its image encoder together; the second adds both
ControlNets, which begin as copies of the UNet's first half, and goes on with all of it. Every step draws which
conditions it has, so each network also learns to do without the others. The published adapters and ControlNets were
trained beside a frozen, mature UNet; beside a small frozen one they hardly learn, and one training for all costs less.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from demo_models.recipes.controlnet import DEPTH, POSE, as_condition, depth_image, new_controlnet, pose_image
from demo_models.recipes.deepening import deepened, deepened_controlnet
from demo_models.recipes.diffusion import noise_loss, noised, stratified_timesteps
from demo_models.recipes.elsewhere import PictureSet
from demo_models.recipes.examples import Examples
from demo_models.recipes.ip_adapter import (
    bare_prompt,
    belongs_to_adapter,
    encoder_input,
    install,
    new_image_encoder,
    no_patches,
    patches_of,
    reference_for,
    save_adapter,
    set_scale,
)
from demo_models.recipes.latents import LatentSet
from demo_models.recipes.masks import BOXED, CROPPED, ROOMY, SILHOUETTE, VARIANTS, seen
from demo_models.recipes.shards import SceneSet
from demo_models.recipes.training import Settings
from demo_models.recipes.vocabulary import kept_clip_tokenizer, prompt_for
from demo_models.recipes.workdir import start_folder, weights_folder, workdir
from demo_models.world.canvas import SCENE_PX
from demo_models.world.captions import caption
from demo_models.world.cars import Car
from demo_models.world.people import Person
from demo_models.world.scenes import SceneSpec

TEXT_WIDTH: Final = 128
CHANNELS: Final = (48, 96, 160)
CONTROLS: Final = (DEPTH, POSE)
_NO_CONTROL: Final = "none"
_SETTINGS: Final = Settings(minutes=240, batch=16, learning_rate=1e-3, ema_decay=0.999, warmup_steps=60)
_CONTROLLED_SETTINGS: Final = Settings(minutes=120, batch=16, learning_rate=6e-4, ema_decay=0.998, warmup_steps=60)
_OUTSIDE_WEIGHT: Final = 0.2
_TOKENS: Final = 77
_UNCONTROLLED: Final[Mapping[str, float]] = {_NO_CONTROL: 1.0}
_CONTROL_SHARES: Final[Mapping[str, float]] = {_NO_CONTROL: 0.36, DEPTH: 0.5, POSE: 0.14}
"""Of steps without control, with depth, with a pose."""
_REFERENCE_SHARE: Final = 0.5
"""Of steps with a reference image, with or without control."""
_VARIANTS: Final = {BOXED: 0.3, SILHOUETTE: 0.3, CROPPED: 0.3, ROOMY: 0.1}
_CONTROL_VARIANTS: Final = {BOXED: 0.4, SILHOUETTE: 0.1, CROPPED: 0.25, ROOMY: 0.25}
"""Of masks, without and under control: a silhouette gives the shape away."""
_RIM_SHARE: Final = 5 / 16
"""Of a batch with references: rims."""
_BARE_PROMPTS: Final = 0.85
"""Share of captions reduced to the noun when there is a reference: the look must then come from the image."""
_WITHOUT_REFERENCE: Final = 0.08
_LEAST_SCALE: Final = 0.5
"""Adapter and ControlNets are trained at scales from here to 1, as users set them."""


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
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    )


def new_text_encoder(vocabulary: int) -> CLIPTextModel:
    """Returns a CLIP text model of three layers; the start and end marks are the last two ids, as in the real one."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=TEXT_WIDTH,
            intermediate_size=2 * TEXT_WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=_TOKENS,
            projection_dim=TEXT_WIDTH,
            bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1,
            pad_token_id=vocabulary - 1,
        )
    )


def tokenizer_folder() -> Path:
    """Returns where the text encoder's tokenizer is kept."""
    return kept_clip_tokenizer("clip")


@lru_cache(maxsize=1)
def clip_tokenizer() -> CLIPTokenizer:
    """Returns the tokenizer of the text encoder."""
    return CLIPTokenizer.from_pretrained(tokenizer_folder())


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
    """UNet, text encoder, adapter and ControlNets, trained together."""

    def __init__(
        self,
        unet: UNet2DConditionModel,
        text_encoder: CLIPTextModel,
        image_encoder: CLIPVisionModelWithProjection,
        start: Path | None = None,
        controlled: bool = True,
    ) -> None:
        """Takes the base; adapter and ControlNets come from the folder ``start``, or begin as copies of parts of it."""
        super().__init__()
        controls = {name: _existing(start, f"controlnet-{name}") for name in CONTROLS if controlled}
        self.controlnets = nn.ModuleDict({name: new_controlnet(unet, folder) for name, folder in controls.items()})
        install(unet, _existing(start, "ip-adapter/models"))
        self.unet = unet.to(memory_format=torch.channels_last)
        self.text_encoder, self.image_encoder = text_encoder, image_encoder

    @classmethod
    def begin(cls, start: Path | None, controlled: bool = True, *, deeper: bool = False) -> "InpaintingTrainer":
        """Starts from earlier weights as far as the folder has them, else from random ones.

        With ``deeper`` UNet and ControlNets, made for coarse latents, become those for fine ones.
        """
        unet, text, image = (
            _existing(start, part) for part in ("unet", "text_encoder", "ip-adapter/models/image_encoder")
        )
        single: dict[str, Any] = {"dtype": torch.float32}
        painter = new_unet() if unet is None else UNet2DConditionModel.from_pretrained(unet, torch_dtype=torch.float32)
        module = cls(
            deepened(painter) if deeper else painter,
            new_text_encoder(len(clip_tokenizer())) if text is None else CLIPTextModel.from_pretrained(text, **single),
            new_image_encoder(TEXT_WIDTH)
            if image is None
            else CLIPVisionModelWithProjection.from_pretrained(image, **single),
            start,
            controlled,
        )
        if deeper:
            for name, network in module.controlnets.items():
                module.controlnets[name] = deepened_controlnet(network).to(memory_format=torch.channels_last)
        return module

    def noise(
        self,
        stacked: Tensor,
        timesteps: Tensor,
        context: Tensor,
        patches: Tensor | None = None,
        control: tuple[str, Tensor] | None = None,
        control_scale: float = 1.0,
    ) -> Tensor:
        """Returns the predicted noise.

        Args:
            stacked: Latents, mask and masked latents, float32 (N, 9, H, W).
            timesteps: Long (N,) or one for all.
            context: Text embeddings (N, T, D).
            patches: Of the references; None without.
            control: Name of the ControlNet and its images (N, 3, 256, 256) in 0..1.
            control_scale: Weight of the ControlNet.
        """
        planes = stacked.contiguous(memory_format=torch.channels_last)
        down, middle = None, None
        if control is not None:
            name, images = control
            down, middle = self.controlnets[name](
                planes[:, :4], timesteps, context, images, conditioning_scale=control_scale, return_dict=False
            )
        if patches is None:
            set_scale(self.unet, 0.0)
            patches = no_patches(len(stacked))
        predicted: Tensor = self.unet(
            planes,
            timesteps,
            context,
            added_cond_kwargs={"image_embeds": [patches]},
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        ).sample
        return predicted

    def forward(
        self,
        whole: Tensor,
        masked: Tensor,
        cells: Tensor,
        timesteps: Tensor,
        input_ids: Tensor,
        references: Tensor | None = None,
        control: tuple[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Returns the loss of predicting the noise in latents (N, 4, H, W)."""
        noise = torch.randn_like(whole)
        stacked = torch.cat([noised(whole, noise, timesteps), cells, masked], dim=1)
        adapter_scale, control_scale = (_LEAST_SCALE + (1 - _LEAST_SCALE) * torch.rand(2, device="cpu")).tolist()
        patches = None
        if references is not None:
            patches = patches_of(self.image_encoder, references)
            set_scale(self.unet, adapter_scale)
        context = self.text_encoder(input_ids)[0]
        predicted = self.noise(stacked, timesteps, context, patches, control, control_scale)
        loss = noise_loss(predicted, noise, timesteps, cells, _OUTSIDE_WEIGHT)
        kind = "words" if control is None and references is None else control[0] if control else "reference"
        return {"loss": loss, kind: loss}


def _existing(start: Path | None, part: str) -> Path | None:
    return start / part if start is not None and (start / part).exists() else None


def _rows_of_rims(latents: LatentSet, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws examples (count, 2), scene and variant, of what references of rims are for: a small part of all scenes."""
    found: list[tuple[int, int]] = []
    while len(found) < count:
        index, variant = int(rng.integers(0, len(latents))), int(rng.choice(VARIANTS))
        if latents.labels[index][variant] in ("rims", "wheels"):
            found.append((index, variant))
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def latent_batch(latents: LatentSet, indices: np.ndarray, variants: np.ndarray) -> dict[str, Tensor]:
    """Returns latents, masked latents and masks of chosen scenes and mask variants, float32."""
    return {
        "whole": torch.from_numpy(latents.take("whole", indices, variants)).float(),
        "masked": torch.from_numpy(latents.take("masked", indices, variants)).float(),
        "cells": torch.from_numpy(latents.take("cells", indices, variants))[:, None].float(),
    }


@dataclass(kw_only=True)
class InpaintingRecipe:
    """Trains UNet, text encoder and adapter on the latents that are there; more may be added while it runs.

    Attributes:
        shares: How many steps have which control, or none.
        reference_share: How many have reference images.
        elsewhere_share: How much of a batch is not of the painted world, see elsewhere.py.
    """

    scenes: SceneSet
    latents_folder: Path
    name: str = "inpainting"
    autoencoder: str = "vae"
    settings: Settings = _SETTINGS
    shares: Mapping[str, float] = field(default_factory=lambda: _UNCONTROLLED)
    reference_share: float = _REFERENCE_SHARE
    elsewhere_share: float = 0.0
    _latents: LatentSet | None = None
    _pictures: PictureSet | None = None
    _drawn: int = 0

    def build(self) -> nn.Module:
        """Returns the module to train."""
        return InpaintingTrainer.begin(start_folder(self.name), controlled=False)

    def batch(self, rng: np.random.Generator) -> Mapping[str, Any]:
        """Draws the step's conditions, then scenes, masks, words, timesteps and what the conditions need."""
        self._reopen()
        drawn = str(rng.choice([*self.shares], p=[*self.shares.values()]))
        control = None if drawn == _NO_CONTROL else drawn
        with_reference = bool(rng.random() < self.reference_share)
        count = self.settings.batch
        strange = int(rng.binomial(count, self.elsewhere_share))
        rows = Examples.joined(
            [
                self._of_scenes(count - strange, control, with_reference, rng),
                self._of_pictures(strange, control, with_reference, rng),
            ]
        )
        batch: dict[str, Any] = {**rows.latents, "timesteps": stratified_timesteps(count)}
        batch["input_ids"] = token_ids(rows.prompts)
        if with_reference:
            pixels = encoder_input(rows.references)
            pixels[torch.from_numpy(rng.random(count) < _WITHOUT_REFERENCE)] = 0
            batch["references"] = pixels
        if control is not None:
            batch["control"] = (control, as_condition(rows.hints))
        return batch

    def _reopen(self) -> None:
        if self._drawn % 200 == 0:
            self._latents = LatentSet.reopened(self.latents_folder, self._latents)
            if self.elsewhere_share:
                self._pictures = PictureSet.reopened(self.latents_folder, self._pictures)
        self._drawn += 1

    def _of_scenes(self, count: int, control: str | None, with_reference: bool, rng: np.random.Generator) -> Examples:
        if not count:
            return Examples()
        latents = self._latents
        assert latents is not None
        indices = np.array([self._usable(latents, control, rng) for _ in range(count)])
        shares = _VARIANTS if control is None else _CONTROL_VARIANTS
        variants = rng.choice(VARIANTS, count, p=[shares[variant] for variant in VARIANTS])
        if with_reference and control != POSE:
            rims = _rows_of_rims(latents, int(count * _RIM_SHARE), rng)
            indices[: len(rims)], variants[: len(rims)] = rims[:, 0], rims[:, 1]
        rows = [(int(index), latents.labels[index][variant]) for index, variant in zip(indices, variants, strict=True)]
        bare = rng.random(count) < (_BARE_PROMPTS if with_reference else 0)
        prompts = [
            bare_prompt(label, rng) if plain else training_prompt(latents.spec(index), label, rng)
            for (index, label), plain in zip(rows, bare, strict=True)
        ]
        references, hints = [], []
        if with_reference:
            references = [reference_for(self.scenes, latents.seed(index), label, rng) for index, label in rows]
        if control is not None:
            windows = latents.take("windows", indices, variants)
            hints = [
                self._control_image(control, latents.seed(index), window.tolist())
                for (index, _), window in zip(rows, windows, strict=True)
            ]
        return Examples(
            latents=latent_batch(latents, indices, variants), prompts=prompts, references=references, hints=hints
        )

    def _of_pictures(self, count: int, control: str | None, with_reference: bool, rng: np.random.Generator) -> Examples:
        """Examples beyond the world. A pose is that of somebody else: there is nobody whom it could be of."""
        if not count:
            return Examples()
        pictures, latents = self._pictures, self._latents
        assert pictures is not None
        assert latents is not None
        indices = rng.integers(0, len(pictures), count)
        bare = rng.random(count) < (_BARE_PROMPTS if with_reference else 0)
        hints = []
        if control == DEPTH:
            hints = [depth_image(depth) for depth in pictures.depth(indices)]
        elif control is not None:
            people = [self._usable(latents, control, rng) for _ in range(count)]
            hints = [self._control_image(control, latents.seed(index), (0, 0, SCENE_PX)) for index in people]
        return Examples(
            latents=pictures.latents(indices),
            prompts=pictures.prompts(indices.tolist(), bare.tolist(), rng),
            references=[pictures.reference(index) for index in indices.tolist()] if with_reference else [],
            hints=hints,
        )

    def _usable(self, latents: LatentSet, control: str | None, rng: np.random.Generator) -> int:
        while True:
            index = int(rng.integers(0, len(latents)))
            if control != POSE or isinstance(latents.spec(index).subject, Person):
                return index

    def _control_image(self, control: str, seed: int, window: Sequence[int]) -> np.ndarray:
        row = np.array([self.scenes.index_of(seed)])
        if control == DEPTH:
            return seen(depth_image(self.scenes.take("depth", row)[0].astype(np.uint8)), window)
        return pose_image(self.scenes.take("keypoints", row)[0].astype(np.float32), window)

    def score(self, module: nn.Module) -> Mapping[str, float]:
        """Judges every kind of edit on held-out scenes and writes sheets of them."""
        from demo_models.recipes.painting_scores import painting_scores  # it needs this module's trainer

        assert isinstance(module, InpaintingTrainer)
        autoencoder = AutoencoderKL.from_pretrained(weights_folder(self.autoencoder)).eval()
        return painting_scores(module, autoencoder, workdir() / "runs" / self.name)

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes UNet, text encoder, tokenizer, adapter and ControlNets in sub-folders."""
        assert isinstance(module, InpaintingTrainer)
        bare = UNet2DConditionModel.from_config(
            {**module.unet.config, "encoder_hid_dim": None, "encoder_hid_dim_type": None}
        )
        state = module.unet.state_dict()
        bare.load_state_dict({name: tensor for name, tensor in state.items() if not belongs_to_adapter(name)})
        bare.save_pretrained(folder / "unet")
        module.text_encoder.save_pretrained(folder / "text_encoder")
        shutil.copytree(tokenizer_folder(), folder / "tokenizer", dirs_exist_ok=True)
        save_adapter(module.unet, module.image_encoder, folder / "ip-adapter" / "models")
        for name, network in module.controlnets.items():
            assert isinstance(network, ControlNetModel)
            network.save_pretrained(folder / f"controlnet-{name}")


@dataclass(kw_only=True)
class ControlledRecipe(InpaintingRecipe):
    """Adds the ControlNets and goes on with everything that paints."""

    name: str = "controlled"
    settings: Settings = _CONTROLLED_SETTINGS
    shares: Mapping[str, float] = field(default_factory=lambda: _CONTROL_SHARES)

    def build(self) -> nn.Module:
        """Returns the module to train."""
        return InpaintingTrainer.begin(start_folder(self.name) or weights_folder("inpainting"))
