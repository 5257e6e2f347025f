"""image + boxes -> **SAM** -> silhouettes.

`facebook/sam-vit-base` (Apache-2.0; Kirillov et al. 2023, arXiv:2304.02643). Its encoder costs a thousand times its
decoder (972 GFLOP), so an image's embedding is kept for a while: other boxes in the same image, or the same image
again, cost only the decoder. Embeddings are tensors, and so stay in the runner.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import SamModel, SamProcessor

from composition.caching.content_cache import CacheCounts, ContentCache
from composition.caching.content_key import content_key
from composition.images import Box, Image, Mask
from runners.detector.queries import SegmentQuery
from runners.pretrained import for_processor, load_pretrained

MAX_BOXES_PER_FORWARD = 8
"""Every box's logits are scaled up to 1024 x 1024 in float32: 4 MB each."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Encoded:
    """An image as SAM sees it: `embedding` (1, C, h, w); sizes are (height, width) in pixels."""

    embedding: torch.Tensor
    image_size: tuple[int, int]
    input_size: tuple[int, int]


class SamSegmenter:
    """Draws the silhouette of what is in a box.

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

    def forget(self) -> None:
        """Drop every kept embedding and give its memory back to the device."""
        self._cache.clear()
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()

    @torch.inference_mode()
    def segment(self, queries: Sequence[SegmentQuery]) -> list[tuple[Mask, ...]]:
        """Per query one binary mask (H, W; 0/255) for each of its boxes, of the image's size."""
        return [self._segment(query.image, query.boxes) for query in queries]

    def _segment(self, image: Image, boxes: Sequence[Box]) -> tuple[Mask, ...]:
        if not boxes:
            return ()
        encoded, _ = self._cache.get(content_key(image), lambda: self._encode(image))
        masks: list[Mask] = []
        for start in range(0, len(boxes), MAX_BOXES_PER_FORWARD):
            masks += self._decode(encoded, boxes[start : start + MAX_BOXES_PER_FORWARD])
        return tuple(masks)

    def _encode(self, image: Image) -> _Encoded:
        inputs = self._processor(images=for_processor(image), return_tensors="pt")
        pixels = inputs["pixel_values"].to(self._model.device, self._model.dtype)
        height, width = inputs["reshaped_input_sizes"][0].tolist()
        return _Encoded(
            embedding=self._model.get_image_embeddings(pixels),
            image_size=(image.shape[0], image.shape[1]),
            input_size=(height, width),
        )

    def _decode(self, encoded: _Encoded, boxes: Sequence[Box]) -> list[Mask]:
        """A box leaves no doubt about what is meant, so SAM is asked for one mask, as its authors advise."""
        scale = np.divide(encoded.input_size, encoded.image_size)[::-1]
        corners = np.array([[box.x0, box.y0, box.x1, box.y1] for box in boxes]) * np.concatenate([scale, scale])
        outputs = self._model(
            image_embeddings=encoded.embedding,
            input_boxes=torch.from_numpy(corners)[None].to(self._model.device, self._model.dtype),
            multimask_output=False,
        )
        (masks,) = self._processor.post_process_masks(
            outputs.pred_masks.float(), [encoded.image_size], [encoded.input_size]
        )
        binary = masks[:, 0].to(torch.uint8).mul(255).cpu().numpy()
        return list(binary)


def _size_bytes(encoded: _Encoded) -> int:
    return encoded.embedding.numel() * encoded.embedding.element_size()
