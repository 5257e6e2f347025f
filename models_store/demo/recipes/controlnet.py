"""ControlNets: the shape that a depth map or a pose asks for, told to the frozen UNet."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn
from transformers import CLIPTextModel

from models_store.demo.recipes.diffusion import inpaint, noise_loss, noised, stratified_timesteps
from models_store.demo.recipes.edit_scores import edit_cells, generation_prompt, held_out_edits, write_sheet
from models_store.demo.recipes.inpainting import latent_batch, token_ids, training_prompt
from models_store.demo.recipes.ip_adapter import load_base
from models_store.demo.recipes.latents import LatentSet
from models_store.demo.recipes.masks import BOXED, CROPPED, SILHOUETTE, pixels_of, seen
from models_store.demo.recipes.shards import SceneSet
from models_store.demo.recipes.training import Settings
from models_store.demo.recipes.workdir import weights_folder, workdir
from models_store.demo.world.edits import RECOLOUR, STRUCTURE, EditPair
from models_store.demo.world.people import Person
from models_store.demo.world.scenes import render_empty
from models_store.demo.world.scoring import silhouette_overlap

DEPTH: Final = "depth"
POSE: Final = "pose"
_SETTINGS: Final = Settings(minutes=90, learning_rate=5e-4)
_BATCH: Final = 12
_OUTSIDE_WEIGHT: Final = 0.1
_SHARES: Final = (0.55, 0.3, 0.15)
"""Of views with a box, enlarged, with a silhouette: a silhouette mask gives the shape away."""
_WITHOUT_WORDS: Final = 0.3
_SCORED_EDITS: Final = 18
_LIMBS: Final = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
    (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
_LIMB_DIMMING: Final = 0.6
_HUES: Final = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85),
    (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255), (170, 0, 255),
    (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip
"""The colours in which ControlNet's pose pictures show joints; limbs have them dimmed."""


def pose_picture(joints: NDArray[np.float32], side: int = 256) -> NDArray[np.uint8]:
    """Draws OpenPose-18 joints (18, 2) in the colours that ControlNet expects, RGB uint8 (256, 256, 3)."""
    picture = Image.new("RGB", (side, side))
    pen = ImageDraw.Draw(picture)
    for (first, second), hue in zip(_LIMBS, _HUES, strict=False):
        line = [tuple(float(value) for value in joints[end]) for end in (first, second)]
        pen.line(line, fill=tuple(int(value * _LIMB_DIMMING) for value in hue), width=4)
    for (x, y), hue in zip(joints.tolist(), _HUES, strict=True):
        pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=hue)
    return np.asarray(picture)


def depth_picture(depth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stretches inverse depth (H, W) to the full range, as estimated maps are, RGB uint8 (H, W, 3)."""
    low, high = float(depth.min()), float(depth.max())
    stretched = (depth.astype(np.float32) - low) / max(high - low, 1.0) * 255
    return np.repeat(np.rint(stretched).astype(np.uint8)[..., None], 3, axis=2)


def as_condition(pictures: list[NDArray[np.uint8]]) -> Tensor:
    """Returns control pictures as float32 (N, 3, H, W) in 0..1."""
    planes = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    return planes.contiguous(memory_format=torch.channels_last)


def new_controlnet(unet: UNet2DConditionModel) -> ControlNetModel:
    """Returns a ControlNet that starts as a copy of the UNet's first half.

    The published recipe starts hint and outputs at zero; with so few steps nothing would move: the hint starts alive.
    """
    network = ControlNetModel.from_unet(unet, conditioning_channels=3, load_weights_from_unet=False)
    network = ControlNetModel.from_config(
        network.config, in_channels=4, conditioning_embedding_out_channels=(16, 24, 32, 48)
    )
    own, theirs = network.state_dict(), unet.state_dict()
    copied = {name: tensor for name, tensor in theirs.items() if name in own and own[name].shape == tensor.shape}
    copied["conv_in.weight"] = theirs["conv_in.weight"][:, :4].clone()
    network.load_state_dict(copied, strict=False)
    nn.init.normal_(network.controlnet_cond_embedding.conv_out.weight, std=0.05)
    return network.to(memory_format=torch.channels_last)


class ControlTrainer(nn.Module):
    """The frozen UNet and text encoder with a ControlNet to be trained."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        """Takes the trained UNet and text encoder."""
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder
        self.requires_grad_(False)
        self.controlnet = new_controlnet(unet)

    def noise(self, stacked: Tensor, timesteps: Tensor, context: Tensor, condition: Tensor | None) -> Tensor:
        """Returns the predicted noise, under control unless the condition is None."""
        planes = stacked.contiguous(memory_format=torch.channels_last)
        if condition is None:
            free: Tensor = self.unet(planes, timesteps, context).sample
            return free
        down, middle = self.controlnet(planes[:, :4], timesteps, context, condition, return_dict=False)
        steered: Tensor = self.unet(
            planes,
            timesteps,
            context,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        ).sample
        return steered

    def forward(
        self,
        whole: Tensor,
        masked: Tensor,
        cells: Tensor,
        timesteps: Tensor,
        input_ids: Tensor,
        condition: Tensor,
    ) -> dict[str, Tensor]:
        """Returns the loss."""
        noise = torch.randn_like(whole)
        stacked = torch.cat([noised(whole, noise, timesteps), cells, masked], dim=1)
        predicted = self.noise(stacked, timesteps, self.text_encoder(input_ids)[0], condition)
        return {"loss": noise_loss(predicted, noise, timesteps, cells, _OUTSIDE_WEIGHT)}


@dataclass(kw_only=True)
class ControlRecipe:
    """Trains a ControlNet of one kind beside the frozen UNet."""

    kind: str
    scenes: SceneSet
    latents: LatentSet
    settings: Settings = _SETTINGS

    @property
    def name(self) -> str:
        """The component's name."""
        return f"controlnet-{self.kind}"

    def build(self) -> nn.Module:
        """Returns the module to train."""
        return ControlTrainer(*load_base())

    def batch(self, rng: np.random.Generator) -> Mapping[str, Any]:
        """Draws scenes that have the control, mostly with box masks."""
        indices = np.array([self._usable(rng) for _ in range(_BATCH)])
        variants = rng.choice((BOXED, CROPPED, SILHOUETTE), _BATCH, p=_SHARES)
        prompts = [
            ""
            if rng.random() < _WITHOUT_WORDS
            else training_prompt(self.latents.spec(index), self.latents.labels[index][variant], rng)
            for index, variant in zip(indices, variants, strict=True)
        ]
        extra = {"timesteps": stratified_timesteps(_BATCH), "input_ids": token_ids(prompts)}
        extra["condition"] = as_condition(
            [
                seen(self._picture(int(index)), self.latents.windows[index, variant])
                for index, variant in zip(indices, variants, strict=True)
            ]
        )
        return latent_batch(self.latents, indices, variants) | extra

    def _usable(self, rng: np.random.Generator) -> int:
        while True:
            index = int(rng.integers(0, len(self.latents)))
            if self.kind == DEPTH or isinstance(self.latents.spec(index).subject, Person):
                return index

    def _picture(self, index: int) -> NDArray[np.uint8]:
        row = np.array([self.scenes.index_of(self.latents.seed(index))])
        if self.kind == DEPTH:
            return depth_picture(self.scenes.take("depth", row)[0].astype(np.uint8))
        return pose_picture(self.scenes.take("keypoints", row)[0].astype(np.float32))

    def score(self, module: nn.Module) -> Mapping[str, float]:
        """Mean overlap of the painted silhouette with the true one in box masks, with control and without."""
        assert isinstance(module, ControlTrainer)
        autoencoder = AutoencoderKL.from_pretrained(weights_folder("vae")).eval()
        pairs = [pair for pair in held_out_edits(self._judged_on, 3 * _SCORED_EDITS) if self._has_control(pair)]
        pairs = pairs[:_SCORED_EDITS]
        cells = np.stack([edit_cells(pair, True) for pair in pairs])
        scores = {}
        for steered in (True, False):
            results: list[NDArray[np.uint8]] = []
            for first in range(0, len(pairs), 6):
                part = slice(first, first + 6)
                results += self._edit(module, autoencoder, pairs[part], cells[part], steered)
            overlaps = [
                silhouette_overlap(result, pair.after.image, render_empty(pair.before.spec), pixels_of(mask))
                for pair, mask, result in zip(pairs, cells, results, strict=True)
            ]
            scores[f"silhouette_iou_{'with' if steered else 'without'}"] = float(np.mean(overlaps))
            if steered:
                write_sheet(pairs, list(cells), results, workdir() / "runs" / self.name / "structure.png")
        return scores

    @property
    def _judged_on(self) -> str:
        return STRUCTURE if self.kind == DEPTH else RECOLOUR

    def _has_control(self, pair: EditPair) -> bool:
        return self.kind == DEPTH or pair.before.keypoints is not None

    def _edit(
        self,
        module: ControlTrainer,
        autoencoder: AutoencoderKL,
        pairs: list[EditPair],
        cells: NDArray[np.bool_],
        steered: bool,
    ) -> list[NDArray[np.uint8]]:
        prompts = [generation_prompt(pair) for pair in pairs]
        context = tuple(module.text_encoder(token_ids(words))[0] for words in ([""] * len(pairs), prompts))
        pictures = []
        for pair in pairs:
            if self.kind == DEPTH:
                pictures.append(depth_picture(pair.before.depth))
            else:
                assert pair.before.keypoints is not None
                pictures.append(pose_picture(pair.before.keypoints))
        condition = as_condition(pictures).repeat(2, 1, 1, 1) if steered else None

        def predict(stacked: Tensor, timestep: Tensor, words: Tensor) -> Tensor:
            return module.noise(stacked, timestep, words, condition)

        images = np.stack([pair.before.image for pair in pairs])
        return list(inpaint(predict, autoencoder, images, cells, (context[0], context[1])))

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes the ControlNet."""
        assert isinstance(module, ControlTrainer)
        module.controlnet.save_pretrained(folder)
