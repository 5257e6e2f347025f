"""image + boxes or points -> **SAM** -> silhouettes.

`facebook/sam-vit-base` (Apache-2.0; Kirillov et al. 2023, arXiv:2304.02643). Its encoder costs a thousand times its
decoder (972 GFLOP), so an image's embedding is kept for a while: other boxes or points in the same image, or the
same image again, cost only the decoder. Embeddings are tensors, and so stay in the runner.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from transformers import SamModel, SamProcessor

from composition.caching.content_cache import CacheCounts, ContentCache
from composition.caching.content_key import content_key
from composition.images import Image, Mask
from composition.marks import Mark
from runners.detector.queries import SegmentQuery
from runners.pretrained import for_processor, load_pretrained

MAX_MARKS_PER_FORWARD = 8
"""Every mask's logits are scaled up to 1024 x 1024 in float32: 4 MB each, three of them for a single point."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Encoded:
    """An image as SAM sees it: `embedding` (1, C, h, w); sizes are (height, width) in pixels."""

    embedding: torch.Tensor
    image_size: tuple[int, int]
    input_size: tuple[int, int]


class SamSegmenter:
    """Draws the silhouette of what is in a box or under a click.

    Args:
        model: a SamModel.
        processor: its SamProcessor.
        cache_bytes: the most that kept embeddings may take; 0 keeps none.
        cache_ttl_s: for how long one is kept.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        *,
        cache_bytes: int,
        cache_ttl_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = model.eval()
        self._processor = processor
        self._cache: ContentCache[_Encoded] = ContentCache(
            max_bytes=cache_bytes, ttl_s=cache_ttl_s, size_of=_size_bytes, clock=clock
        )

    @classmethod
    def load(
        cls, folder: Path, device: torch.device, dtype: torch.dtype, *, cache_bytes: int, cache_ttl_s: float
    ) -> SamSegmenter:
        processor = SamProcessor.from_pretrained(folder, local_files_only=True)
        model = load_pretrained(SamModel, folder, device, dtype)
        return cls(model, processor, cache_bytes=cache_bytes, cache_ttl_s=cache_ttl_s)

    @property
    def cache_counts(self) -> CacheCounts:
        """How often the encoder was spared."""
        return self._cache.counts()

    @property
    def module(self) -> nn.Module:
        return cast(nn.Module, self._model)

    def forget(self) -> None:
        """Drop every kept embedding and give its memory back to the device."""
        self._cache.clear()
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()

    @torch.inference_mode()
    def segment(self, queries: Sequence[SegmentQuery]) -> list[tuple[Mask, ...]]:
        """Per query one binary mask (H, W; 0/255) for each of its marks, of the image's size."""
        return [self._segment(query.image, query.marks) for query in queries]

    def _segment(self, image: Image, marks: Sequence[Mark]) -> tuple[Mask, ...]:
        if not marks:
            return ()
        encoded, _ = self._cache.get(content_key(image), lambda: self._encode(image))
        groups: dict[tuple[bool, int], list[int]] = {}
        for index, mark in enumerate(marks):
            groups.setdefault((mark.box is None, len(mark.points)), []).append(index)
        masks: dict[int, Mask] = {}
        for alike in groups.values():
            for start in range(0, len(alike), MAX_MARKS_PER_FORWARD):
                together = alike[start : start + MAX_MARKS_PER_FORWARD]
                masks |= zip(together, self._decode(encoded, [marks[index] for index in together]), strict=True)
        return tuple(masks[index] for index in range(len(marks)))

    def _encode(self, image: Image) -> _Encoded:
        inputs = self._processor(images=for_processor(image), return_tensors="pt")
        pixels = inputs["pixel_values"].to(self._model.device, self._model.dtype)
        height, width = inputs["reshaped_input_sizes"][0].tolist()
        return _Encoded(
            embedding=self._model.get_image_embeddings(pixels),
            image_size=(image.shape[0], image.shape[1]),
            input_size=(height, width),
        )

    def _decode(self, encoded: _Encoded, marks: Sequence[Mark]) -> list[Mask]:
        """Of marks that are alike: all of them with a box or none, and of as many points.

        A box or several points leave no doubt about what is meant, so SAM is asked for one mask, as its authors advise.
        A single click may mean a thing or a part of it: of three masks the one is taken that SAM thinks best of.
        """
        scale = np.divide(encoded.input_size, encoded.image_size)[::-1]
        prompts: dict[str, torch.Tensor] = {}
        if marks[0].points:
            places = [[(point.x, point.y) for point in mark.points] for mark in marks]
            prompts["input_points"] = self._tensor(np.array(places) * scale)
            labels = [[point.label for point in mark.points] for mark in marks]
            prompts["input_labels"] = torch.tensor([labels], device=self._model.device)
        boxes = [mark.box for mark in marks if mark.box is not None]
        if boxes:
            corners = np.array([[box.x0, box.y0, box.x1, box.y1] for box in boxes])
            prompts["input_boxes"] = self._tensor(corners * np.concatenate([scale, scale]))
        single_click = not boxes and len(marks[0].points) == 1
        outputs = self._model(image_embeddings=encoded.embedding, multimask_output=single_click, **prompts)
        (masks,) = self._processor.post_process_masks(
            outputs.pred_masks.float(), [encoded.image_size], [encoded.input_size]
        )
        best = outputs.iou_scores[0].argmax(dim=-1).to(masks.device)
        chosen = masks[torch.arange(len(marks), device=masks.device), best]
        return list(chosen.to(torch.uint8).mul(255).cpu().numpy())

    def _tensor(self, coordinates: npt.NDArray[np.float64]) -> torch.Tensor:
        """As the one image of a batch."""
        return torch.from_numpy(coordinates)[None].to(self._model.device, self._model.dtype)


def _size_bytes(encoded: _Encoded) -> int:
    return encoded.embedding.numel() * encoded.embedding.element_size()
