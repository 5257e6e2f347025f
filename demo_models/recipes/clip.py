"""CLIP: is this reference a garment, an object or a texture; is this prompt about a body, a vehicle or furniture?

Trained as it is used: the router compares an embedding with the mean embeddings of the prototype texts of each class.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTextConfig, CLIPTokenizer, CLIPVisionConfig

from composition.decision import ReferenceKind
from composition.routing.prototypes import (
    OTHER,
    PROMPT_PROTOTYPES,
    REFERENCE_PROTOTYPES,
    STRUCTURAL,
    TEMPERATURE,
)
from demo_models.recipes.ip_adapter import encoder_input
from demo_models.recipes.shards import SceneSet
from demo_models.recipes.training import Settings
from demo_models.recipes.vocabulary import kept_clip_tokenizer, words
from demo_models.world.palette import COLOURS, MATERIALS
from demo_models.world.people import Person, garment_image
from demo_models.world.scenes import sample_spec
from demo_models.world.seeds import training_seed
from demo_models.world.wheels import Rim, rim_reference

_SETTINGS: Final = Settings(minutes=15, batch=24, learning_rate=6e-4, ema_decay=0.99)
_LENGTH: Final = 77
_KINDS: Final = (ReferenceKind.GARMENT, ReferenceKind.OBJECT, ReferenceKind.TEXTURE)
_SHAPED: Final = (
    "car vehicle van truck motorcycle wheels rims bumper bonnet sofa couch chair table desk bed cabinet shelf armchair "
    "stool wardrobe person woman man body arms legs jacket shirt dress coat trousers jeans outfit"
)
_SHAPELESS: Final = (
    "cat dog bird mug bottle bowl fruit apple bread cake plant flower tree grass mountain beach sea sky cloud rain "
    "snow sunset poster painting mirror vase clock candle book lantern rug curtain wall floor"
)


class ClipTrainer(nn.Module):
    """CLIP and the classification losses."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        """Starts from random weights; the prototype texts are fixed."""
        super().__init__()
        size = len(tokenizer)
        text = CLIPTextConfig(
            vocab_size=size,
            hidden_size=128,
            intermediate_size=384,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=_LENGTH,
            bos_token_id=size - 2,
            eos_token_id=size - 1,
            pad_token_id=size - 1,
        )
        vision = CLIPVisionConfig(
            hidden_size=96,
            intermediate_size=288,
            num_hidden_layers=3,
            num_attention_heads=4,
            image_size=224,
            patch_size=32,
        )
        configuration = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=96)
        self.model = CLIPModel(configuration)
        self._references = [token_rows(tokenizer, texts) for texts in REFERENCE_PROTOTYPES.values()]
        self._prompts = [token_rows(tokenizer, texts) for texts in PROMPT_PROTOTYPES.values()]

    def embed_text(self, input_ids: Tensor) -> Tensor:
        """Returns normalised text embeddings (N, D)."""
        return functional.normalize(self.model.get_text_features(input_ids=input_ids).pooler_output.float(), dim=-1)

    def _means(self, prototypes: Sequence[Tensor]) -> Tensor:
        return torch.stack([functional.normalize(self.embed_text(rows).mean(0), dim=-1) for rows in prototypes])

    def reference_logits(self, pixel_values: Tensor) -> Tensor:
        """Returns the logits of the kinds of reference, in the order of ``REFERENCE_PROTOTYPES``."""
        embedded = self.model.get_image_features(pixel_values=pixel_values).pooler_output.float()
        return functional.normalize(embedded, dim=-1) @ self._means(self._references).T / TEMPERATURE

    def prompt_logits(self, input_ids: Tensor) -> Tensor:
        """Returns the logits of the topics of prompts, in the order of ``PROMPT_PROTOTYPES``."""
        return self.embed_text(input_ids) @ self._means(self._prompts).T / TEMPERATURE

    def forward(self, pixel_values: Tensor, kinds: Tensor, input_ids: Tensor, topics: Tensor) -> dict[str, Tensor]:
        """Returns the losses."""
        images = functional.cross_entropy(self.reference_logits(pixel_values), kinds, label_smoothing=0.02)
        prompts = functional.cross_entropy(self.prompt_logits(input_ids), topics, label_smoothing=0.02)
        return {"loss": images + prompts, "images": images, "prompts": prompts}


def token_rows(tokenizer: CLIPTokenizer, texts: Sequence[str]) -> Tensor:
    """Returns padded ids, long (N, 77)."""
    encoded = tokenizer(list(texts), padding="max_length", max_length=_LENGTH, truncation=True)
    return torch.tensor(encoded.input_ids)


def sample_prompt(rng: np.random.Generator) -> tuple[str, str]:
    """Draws a prompt and its topic."""
    topic = STRUCTURAL if rng.random() < 0.5 else OTHER
    noun = str(rng.choice((_SHAPED if topic == STRUCTURAL else _SHAPELESS).split()))
    look = str(rng.choice([*COLOURS, *MATERIALS, "new", "modern", "big"]))
    wordings = [f"a {look} {noun}", f"{look} {noun}", f"replace the {noun}", f"a {noun}", f"put a {noun} here", noun]
    if topic == OTHER:
        wordings += [look, f"{look} texture", f"in {look}"]
    return str(rng.choice(wordings)), topic


@dataclass(frozen=True, kw_only=True)
class ClipRecipe:
    """Trains CLIP on references and prompts of this world."""

    scenes: SceneSet
    name: str = "clip"
    settings: Settings = _SETTINGS

    def _tokenizer_folder(self) -> Path:
        return kept_clip_tokenizer("router", _extra_words())

    def _tokenizer(self) -> CLIPTokenizer:
        return CLIPTokenizer.from_pretrained(self._tokenizer_folder())

    def build(self) -> nn.Module:
        """Returns the module to train."""
        return ClipTrainer(self._tokenizer())

    def _image(self, kind: ReferenceKind, rng: np.random.Generator) -> NDArray[np.uint8]:
        row = np.array([int(rng.integers(0, len(self.scenes)))])
        if kind is ReferenceKind.TEXTURE:
            return np.asarray(self.scenes.take("swatches", row)[0], dtype=np.uint8)
        if kind is ReferenceKind.GARMENT:
            subject = sample_spec(training_seed(rng), Person.FAMILY).subject
            assert isinstance(subject, Person)
            return garment_image(subject)
        if rng.random() < 0.5:
            return rim_reference(Rim.sample(rng))
        return np.asarray(self.scenes.take("images", row)[0], dtype=np.uint8)

    def batch(self, rng: np.random.Generator) -> Mapping[str, Any]:
        """Draws references of every kind and prompts of both topics."""
        kinds = [_KINDS[int(number)] for number in rng.integers(0, len(_KINDS), self.settings.batch)]
        order = list(REFERENCE_PROTOTYPES)
        drawn = [sample_prompt(rng) for _ in range(self.settings.batch)]
        topics = list(PROMPT_PROTOTYPES)
        return {
            "pixel_values": encoder_input([self._image(kind, rng) for kind in kinds]),
            "kinds": torch.tensor([order.index(kind) for kind in kinds]),
            "input_ids": token_rows(self._tokenizer(), [words_ for words_, _ in drawn]),
            "topics": torch.tensor([topics.index(topic) for _, topic in drawn]),
        }

    def score(self, module: nn.Module) -> Mapping[str, float]:
        """Share of references and of prompts classified right with a probability above 0.7."""
        assert isinstance(module, ClipTrainer)
        right: dict[str, list[float]] = {"references": [], "prompts": []}
        for number in range(12):
            batch = self.batch(np.random.default_rng([11, number]))
            for name, logits, truth in (
                ("references", module.reference_logits(batch["pixel_values"]), batch["kinds"]),
                ("prompts", module.prompt_logits(batch["input_ids"]), batch["topics"]),
            ):
                sure = logits.softmax(-1).gather(1, truth[:, None]) > 0.7
                right[name].append(float(sure.float().mean()))
        return {name: float(np.mean(values)) for name, values in right.items()}

    def save(self, module: nn.Module, folder: Path) -> None:
        """Writes model, tokenizer and image processor."""
        assert isinstance(module, ClipTrainer)
        module.model.save_pretrained(folder)
        shutil.copytree(self._tokenizer_folder(), folder, dirs_exist_ok=True)
        CLIPImageProcessorPil().save_pretrained(folder)


def _extra_words() -> list[str]:
    texts = [_SHAPED, _SHAPELESS, "here modern big"]
    texts += [text for group in (*REFERENCE_PROTOTYPES.values(), *PROMPT_PROTOTYPES.values()) for text in group]
    spelt = " ".join(texts).lower().replace(",", " ").replace("'", " ").replace("-", " ").split()
    return [word for word in dict.fromkeys(spelt) if word not in words()]
