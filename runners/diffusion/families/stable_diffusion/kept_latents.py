"""Inpainting with a UNet that was not made for it: after each step, what lies outside the mask is put back.

The latents there are the image's own, as noisy as the step left the rest: the blended latents of stock diffusers'
inpainting pipeline with 4 input channels (arXiv 2206.02779, section 4.1). An inpainting UNet sees mask and image as
input instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from runners.diffusion.families.stable_diffusion.solvers.lists import Tensors, added, scaled


@dataclass(frozen=True, kw_only=True, eq=False)
class KeptLatents:
    """The image's latents and the request's noise, both (1, 4, h, w), and the mask (1, 1, h, w), 1 = repaint."""

    image: torch.Tensor
    noise: torch.Tensor
    mask: torch.Tensor

    def to(self, dtype: torch.dtype) -> KeptLatents:
        return replace(self, image=self.image.to(dtype), noise=self.noise.to(dtype), mask=self.mask.to(dtype))


def put_back(
    kept: Sequence[KeptLatents], latents: Tensors, shares: Sequence[tuple[float, float] | None]
) -> list[torch.Tensor]:
    """Each request's latents with its image outside the mask.

    `shares` are of image and noise at the next step; None after the last one, which leaves no noise.
    """
    noisy = [(one, share) for one, share in zip(kept, shares, strict=True) if share is not None]
    images = scaled([one.image for one, _ in noisy], [share[0] for _, share in noisy]) if noisy else []
    noises = scaled([one.noise for one, _ in noisy], [share[1] for _, share in noisy]) if noisy else []
    mixed = iter(added(images, noises) if noisy else [])
    outside = [one.image if share is None else next(mixed) for one, share in zip(kept, shares, strict=True)]
    return [
        (1 - one.mask) * beyond + one.mask * inside for one, beyond, inside in zip(kept, outside, latents, strict=True)
    ]
