"""Stable Diffusion XL's two text encoders, and the sizes that its UNet is told.

The states are the last but one layer's of both, side by side; the second encoder gives a pooled embedding as well
(SDXL, arXiv 2307.01952, section 2). Of a prompt in several chunks the pooled embedding is the first one's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from runners.diffusion.families.stable_diffusion.text import EncodedPrompt, token_chunks

POOLED, SIZES = "text_embeds", "time_ids"
"""By these names the UNet and the ControlNets take them as added conditions."""
_SIZES_WIDTH = 6


class SdxlPromptEncoder:
    """`PromptEncoder` over a StableDiffusionXLInpaintPipeline's tokenizers and text encoders.

    Raises: ValueError: the UNet takes other added conditions than a pooled prompt and six sizes (a refiner).
    """

    def __init__(self, pipe: Any, device: torch.device) -> None:
        self._pipe, self._device = pipe, device
        self._pooled_width = int(pipe.text_encoder_2.config.projection_dim)
        unet = pipe.unet
        taken = unet.add_embedding.linear_1.in_features
        given = self._pooled_width + _SIZES_WIDTH * unet.config.addition_time_embed_dim
        if pipe.config.requires_aesthetics_score or taken != given:
            raise ValueError(f"the UNet takes {taken} numbers of added conditions instead of {given}: is it a refiner?")

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        return {"text_encoder": self._pipe.text_encoder, "text_encoder_2": self._pipe.text_encoder_2}

    @property
    def blank_is_zero(self) -> bool:
        return bool(self._pipe.config.force_zeros_for_empty_prompt)

    @property
    def added_widths(self) -> Mapping[str, int]:
        return {POOLED: self._pooled_width, SIZES: _SIZES_WIDTH}

    def encode(self, prompt: str) -> EncodedPrompt:
        pipe = self._pipe
        chunks = [token_chunks(tokenizer, prompt) for tokenizer in (pipe.tokenizer, pipe.tokenizer_2)]
        if len(chunks[0]) == 1:
            states, _, pooled, _ = pipe.encode_prompt(
                prompt=prompt, device=self._device, num_images_per_prompt=1, do_classifier_free_guidance=False
            )
            return EncodedPrompt(states=states, added={POOLED: pooled})
        first, second = (
            encoder(torch.tensor(ids, device=self._device), output_hidden_states=True)
            for encoder, ids in zip((pipe.text_encoder, pipe.text_encoder_2), chunks, strict=True)
        )
        states = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=2)
        states = states.reshape(1, -1, states.shape[2]).to(pipe.text_encoder_2.dtype)
        return EncodedPrompt(states=states, added={POOLED: second[0][:1]})

    def sizes(self, size: tuple[int, int]) -> Mapping[str, torch.Tensor]:
        """Original size, crop corner and target size: the image is its own original, and whole."""
        dtype = self._pipe.text_encoder_2.dtype
        return {SIZES: torch.tensor([[*size, 0, 0, *size]], dtype=dtype, device=self._device)}
