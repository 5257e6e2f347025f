"""image -> **Depth-Anything V2** -> min-max scaling -> depth map, near = white.

`depth-anything/Depth-Anything-V2-Small-hf` (Apache-2.0; Yang et al. 2024, arXiv:2406.09414). It estimates relative
inverse depth, so the nearest point has the highest value, as the depth ControlNet expects it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from transformers import AutoImageProcessor, AutoModelForDepthEstimation

from composition.errors import ModelError
from composition.images import DepthMap, Image
from runners.pretrained import for_processor, load_pretrained

FLAT_RANGE = 1e-4
"""A map whose values differ by less than this share of the largest is flat: what differs is rounding."""


class DepthAnything:
    def __init__(self, model: Any, processor: Any) -> None:
        self._model = model.eval()
        self._processor = processor

    @classmethod
    def load(cls, folder: Path, device: torch.device, dtype: torch.dtype) -> DepthAnything:
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        return cls(load_pretrained(AutoModelForDepthEstimation, folder, device, dtype), processor)

    @property
    def module(self) -> nn.Module:
        return cast(nn.Module, self._model)

    @torch.inference_mode()
    def estimate(self, images: Sequence[Image]) -> list[DepthMap]:
        """Depth per image, of its size; 255 = nearest, a flat scene is all zeros. All must have one size.

        Raises: ModelError for values that are no numbers.
        """
        (size,) = {image.shape[:2] for image in images}
        inputs = self._processor(images=[for_processor(image) for image in images], return_tensors="pt")
        outputs = self._model(inputs["pixel_values"].to(self._model.device, self._model.dtype))
        depth = torch.nn.functional.interpolate(
            outputs.predicted_depth.float()[:, None], size=size, mode="bicubic", align_corners=False
        )
        return [to_depth_map(values) for values in depth[:, 0]]


def to_depth_map(depth: torch.Tensor) -> DepthMap:
    """Scale relative inverse depth (H, W) to 0..255. Raises: ModelError for values that are no numbers."""
    if not bool(torch.isfinite(depth).all()):
        raise ModelError("the depth model gave no usable depth")
    lowest, highest = depth.min(), depth.max()
    spread = float(highest - lowest)
    if spread <= FLAT_RANGE * max(abs(float(lowest)), abs(float(highest))):
        return np.zeros(tuple(depth.shape), np.uint8)
    scaled: DepthMap = ((depth - lowest) / spread * 255).round().to(torch.uint8).cpu().numpy()
    return scaled
