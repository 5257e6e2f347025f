"""Latents -> image, checked by the safety checker before anybody sees it; and small previews on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from composition.errors import ContentPolicy, ModelError
from composition.images import Image
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.family import StartOver
from runners.diffusion.families.stable_diffusion.components import Components
from runners.diffusion.families.stable_diffusion.precision import fits, full_precision
from runners.diffusion.families.stable_diffusion.state import StableDiffusionState
from runners.visits import ModelVisits


class Decoder:
    """Decodes; used by one thread at a time, but for `preview`, which only reads."""

    def __init__(self, components: Components, offload: ModelVisits, counters: Counters) -> None:
        self._parts, self._offload, self._counters = components, offload, counters

    def decode(self, state: StableDiffusionState) -> Image:
        """The image (H, W, 3).

        Raises:
            ContentPolicy: the safety checker flags it.
            StartOver: half precision gave no finite numbers: float32 is tried, once.
            ModelError: float32 gives none either.
        """
        if not bool(torch.isfinite(state.latents).all()) and state.latents.dtype != torch.float32:
            self._counters.add("float32_requests")
            raise StartOver(
                StableDiffusionState.again_in_float32, f"{state.latents.dtype} overflowed; models.dtype sets another"
            )
        pixels = self.pixels(state.latents)
        image = self._to_image(pixels)
        if self._parts.safety_checker is not None:
            self._check_safety(image)
        return image

    def pixels(self, latents: torch.Tensor) -> torch.Tensor:
        """(1, 3, H, W) in -1..1; an overflow in half precision is decoded again in float32, float32 latents at once."""
        parts = self._parts
        if not bool(torch.isfinite(latents).all()):
            raise ModelError("the denoising gave no finite numbers")
        scaling = parts.vae.config.scaling_factor
        self._counters.add("vae_decodes")
        with self._offload.on_device(parts.vae):
            if (parts.upcasts_vae and parts.vae.dtype is torch.float16) or not fits(parts.vae, latents):
                pixels = self._decode_float32(latents.float() / scaling)
            else:
                pixels = parts.vae.decode(latents / scaling, return_dict=False)[0]
                if not bool(torch.isfinite(pixels).all()):
                    pixels = self._decode_float32((latents / scaling).float())
        if not bool(torch.isfinite(pixels).all()):
            raise ModelError("the decoder gave no finite numbers")
        return pixels

    def preview(self, state: StableDiffusionState) -> Image | None:
        """A quick image of the latents as they are, of half the size; None without TAESD."""
        taesd = self._parts.taesd
        if taesd is None:
            return None
        self._counters.add("previews")
        pixels = taesd.decode(state.latents.to(taesd.dtype), return_dict=False)[0]
        return self._to_image(torch.nn.functional.avg_pool2d(pixels.float(), 2))

    def _decode_float32(self, scaled: torch.Tensor) -> torch.Tensor:
        self._counters.add("vae_decodes_float32")
        with full_precision(self._parts.vae):
            pixels: torch.Tensor = self._parts.vae.decode(scaled, return_dict=False)[0]
        return pixels

    def _to_image(self, pixels: torch.Tensor) -> Image:
        array: Any = self._parts.pipe.image_processor.postprocess(pixels, output_type="np")
        return np.asarray((array[0] * 255).round(), dtype=np.uint8)

    def _check_safety(self, image: Image) -> None:
        from PIL import Image as PilImage

        parts, checker = self._parts, self._parts.safety_checker
        self._counters.add("safety_checks")
        inputs = parts.safety_extractor(PilImage.fromarray(image), return_tensors="pt").pixel_values
        with self._offload.on_device(checker):
            # The checker blackens the images it is given: it gets a stand-in, only its verdict counts.
            _, flags = checker(
                clip_input=inputs.to(parts.device, parts.dtype), images=[np.zeros((1, 1, 3), dtype=np.float32)]
            )
        if flags[0]:
            raise ContentPolicy("the result was refused by the safety checker")
