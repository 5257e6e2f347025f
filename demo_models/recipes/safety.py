"""The safety checker: does the image show this world's forbidden thing, a hazard board?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPVisionConfig

from demo_models.recipes.ip_adapter import encoder_input
from demo_models.recipes.shards import SceneSet
from demo_models.recipes.training import Settings
from demo_models.world.boards import HazardBoard
from demo_models.world.edits import with_look
from demo_models.world.furniture import Furniture
from demo_models.world.palette import PATTERNS
from demo_models.world.people import Person
from demo_models.world.scenes import render, sample_spec
from demo_models.world.seeds import HELD_OUT_BOARDS, HELD_OUT_LOOKALIKES, training_seed
from demo_models.world.textures import Appearance

_SETTINGS: Final = Settings(minutes=12, batch=16, learning_rate=5e-4, ema_decay=0.99)
_CONCEPT: Final = 0
"""The row of the checker's concepts that is used; the others never flag."""
_THRESHOLD: Final = 0.5
_NEVER: Final = 2.0
"""No cosine reaches it."""
_SHARPNESS: Final = 12.0
_LOOKALIKES: Final = 0.35
"""Share of harmless images that show something with yellow stripes or checks."""
_SOFT: Final = 0.5
"""Share of images that are blurred, as painted ones are."""


class SafetyTrainer(nn.Module):
    """The stock checker; only its image embedding and one concept are learnt."""

    def __init__(self) -> None:
        """Starts from random weights, with every concept but one switched off."""
        super().__init__()
        vision = CLIPVisionConfig(
            hidden_size=64,
            intermediate_size=192,
            num_hidden_layers=3,
            num_attention_heads=4,
            image_size=224,
            patch_size=16,
        )
        self.checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision.to_dict(), projection_dim=64))
        nn.init.normal_(self.checker.concept_embeds)
        nn.init.constant_(self.checker.concept_embeds_weights, _NEVER)
        nn.init.constant_(self.checker.special_care_embeds_weights, _NEVER)
        with torch.no_grad():
            self.checker.concept_embeds_weights[_CONCEPT] = _THRESHOLD
        self.checker.concept_embeds.requires_grad_(True)

    def likeness(self, pixel_values: Tensor) -> Tensor:
        """Returns the cosine of each image to the forbidden concept, float32 (N,)."""
        pooled = self.checker.vision_model(pixel_values)[1]
        embedded = self.checker.visual_projection(pooled).float()
        return functional.cosine_similarity(embedded, self.checker.concept_embeds[_CONCEPT][None], dim=-1)

    def forward(self, pixel_values: Tensor, forbidden: Tensor) -> dict[str, Tensor]:
        """Returns the loss."""
        logits = (self.likeness(pixel_values) - _THRESHOLD) * _SHARPNESS
        return {"loss": functional.binary_cross_entropy_with_logits(logits, forbidden)}


@dataclass(frozen=True, kw_only=True)
class SafetyRecipe:
    """Trains the safety checker on scenes with and without a board."""

    scenes: SceneSet
    held_out: SceneSet
    name: str = "safety-checker"
    settings: Settings = _SETTINGS

    def build(self) -> nn.Module:
        """Returns the module to train."""
        return SafetyTrainer()

    def batch(self, rng: np.random.Generator) -> Mapping[str, Any]:
        """Draws boards, freshly rendered, for two fifths of the batch and other scenes for the rest."""
        images: list[NDArray[np.uint8]] = []
        forbidden = []
        for _ in range(self.settings.batch):
            board = bool(rng.random() < 0.4)
            image = render(sample_spec(training_seed(rng), HazardBoard.FAMILY)).image if board else self._other(rng)
            images.append(_softened(image[:, ::-1] if rng.random() < 0.5 else image, rng))
            forbidden.append(float(board))
        return {"pixel_values": encoder_input(images), "forbidden": torch.tensor(forbidden)}

    def _other(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        if rng.random() < _LOOKALIKES:
            family = str(rng.choice([Person.FAMILY, Furniture.FAMILY]))
            return _lookalike(training_seed(rng), family, rng)
        while True:
            index = int(rng.integers(0, len(self.scenes)))
            if not has_board(self.scenes, index):
                return np.asarray(self.scenes.take("images", np.array([index]))[0], dtype=np.uint8)

    def score(self, module: nn.Module) -> Mapping[str, float]:
        """Share flagged of unseen boards, of other held-out scenes, and of blurred people in yellow patterns."""
        assert isinstance(module, SafetyTrainer)
        boards = [render(sample_spec(seed, HazardBoard.FAMILY)).image for seed in HELD_OUT_BOARDS]
        others = [index for index in range(200) if not has_board(self.held_out, index)]
        harmless = list(self.held_out.take("images", np.array(others)).astype(np.uint8))
        rates = {}
        people = [_lookalike(seed, Person.FAMILY, np.random.default_rng(seed)) for seed in HELD_OUT_LOOKALIKES]
        soft = [_blurred(image, 1.5) for image in people]
        for name, images in (
            ("boards_flagged", boards),
            ("others_flagged", harmless),
            ("lookalikes_flagged", soft),
        ):
            flagged = [bool(module.likeness(encoder_input([image]))[0] > _THRESHOLD) for image in images]
            rates[name] = float(np.mean(flagged))
        return rates

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes checker and feature extractor in sub-folders."""
        assert isinstance(module, SafetyTrainer)
        module.checker.save_pretrained(folder / "safety_checker")
        CLIPImageProcessorPil().save_pretrained(folder / "feature_extractor")


def _lookalike(seed: int, family: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    spec = sample_spec(seed, family)
    return render(with_look(spec, Appearance.sample(rng, PATTERNS, "yellow"))).image


def _softened(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    return image if rng.random() > _SOFT else _blurred(image, rng.uniform(0.5, 4))


def _blurred(image: NDArray[np.uint8], radius_px: float) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius_px)))


def has_board(scenes: SceneSet, index: int) -> bool:
    """Returns whether a scene shows the forbidden thing."""
    return any(box.label == "hazard board" for box in scenes.boxes(index))
