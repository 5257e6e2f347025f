"""reference or prompt -> **CLIP** -> nearest prototypes -> probabilities for the router.

`openai/clip-vit-base-patch32` (MIT; Radford et al. 2021, arXiv:2103.00020) as a zero-shot classifier: cosine
similarity to a class's mean text embedding, divided by the temperature, softmax over the classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import nn
from transformers import CLIPModel, CLIPProcessor

from composition.decision import ReferenceKind
from composition.images import Image
from composition.routing.prototypes import PROMPT_PROTOTYPES, REFERENCE_PROTOTYPES, STRUCTURAL, TEMPERATURE
from runners.pretrained import for_processor, load_pretrained

Name = TypeVar("Name", bound=str)


class ClipClassifier:
    """Classifies references and prompts by how near they are to texts per kind of reference and per class of prompt."""

    def __init__(
        self,
        model: Any,
        processor: Any,
        *,
        reference_prototypes: Mapping[ReferenceKind, Sequence[str]] = REFERENCE_PROTOTYPES,
        prompt_prototypes: Mapping[str, Sequence[str]] = PROMPT_PROTOTYPES,
        temperature: float = TEMPERATURE,
    ) -> None:
        self._model = model.eval()
        self._processor = processor
        self._temperature = temperature
        self._kinds = tuple(reference_prototypes)
        self._topics = tuple(prompt_prototypes)
        self._kind_means = self._class_means(reference_prototypes)
        self._topic_means = self._class_means(prompt_prototypes)

    @classmethod
    def load(cls, folder: Path, device: torch.device, dtype: torch.dtype) -> ClipClassifier:
        model = load_pretrained(CLIPModel, folder, device, dtype)
        return cls(model, CLIPProcessor.from_pretrained(folder, local_files_only=True))

    @property
    def module(self) -> nn.Module:
        return cast(nn.Module, self._model)

    @torch.inference_mode()
    def classify_references(self, images: Sequence[Image]) -> list[dict[ReferenceKind, float]]:
        """Probability per kind for every image (H, W, 3; sizes may differ); each sums to 1."""
        inputs = self._processor(images=[for_processor(image) for image in images], return_tensors="pt")
        pixels = inputs["pixel_values"].to(self._model.device, self._model.dtype)
        embedded = _normalised(self._model.get_image_features(pixel_values=pixels).pooler_output)
        rows = self._probabilities(embedded, self._kind_means)
        return [dict(zip(self._kinds, row, strict=True)) for row in rows]

    @torch.inference_mode()
    def classify_prompts(self, prompts: Sequence[str]) -> list[float]:
        """Probability that each prompt is about a body, a vehicle or furniture; CLIP reads its first 75 tokens."""
        structural = self._topics.index(STRUCTURAL)
        return [row[structural] for row in self._probabilities(self._embed(prompts), self._topic_means)]

    @torch.inference_mode()
    def _class_means(self, prototypes: Mapping[Name, Sequence[str]]) -> torch.Tensor:
        """(classes, dimensions), each of length 1."""
        means = [self._embed(texts).mean(dim=0) for texts in prototypes.values()]
        return _normalised(torch.stack(means))

    def _embed(self, texts: Sequence[str]) -> torch.Tensor:
        """(texts, dimensions), each of length 1."""
        inputs = self._processor(text=list(texts), padding=True, truncation=True, return_tensors="pt")
        return _normalised(self._model.get_text_features(**inputs.to(self._model.device)).pooler_output)

    def _probabilities(self, embedded: torch.Tensor, means: torch.Tensor) -> list[list[float]]:
        rows: list[list[float]] = (embedded @ means.to(embedded.device).T / self._temperature).softmax(dim=-1).tolist()
        return rows


def _normalised(vectors: torch.Tensor) -> torch.Tensor:
    """To length 1, in float32: half precision would move the similarities by more than the temperature."""
    return torch.nn.functional.normalize(vectors.float(), dim=-1)
