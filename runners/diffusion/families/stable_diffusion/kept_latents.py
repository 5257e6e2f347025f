"""Inpainting with a UNet that was not made for it: after each step, what lies outside the mask is put back.

The latents there are the image's own, as noisy as the step left the rest: the blended latents of stock diffusers'
inpainting pipeline with 4 input channels (arXiv 2206.02779, section 4.1). An inpainting UNet sees mask and image as
input instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch


@dataclass(frozen=True, kw_only=True, eq=False)
class KeptLatents:
    """The image's latents and the request's noise, both (1, 4, h, w), and the mask (1, 1, h, w), 1 = repaint."""

    image: torch.Tensor
    noise: torch.Tensor
    mask: torch.Tensor

    def put_back(self, latents: torch.Tensor, scheduler: Any, next_timestep: torch.Tensor | None) -> torch.Tensor:
        """The latents with the image outside the mask; None as the next timestep is the last step's, without noise."""
        kept = self.image
        if next_timestep is not None:
            kept = scheduler.add_noise(kept, self.noise, torch.tensor([next_timestep]))
        return (1 - self.mask) * kept + self.mask * latents

    def to(self, dtype: torch.dtype) -> KeptLatents:
        return replace(self, image=self.image.to(dtype), noise=self.noise.to(dtype), mask=self.mask.to(dtype))
