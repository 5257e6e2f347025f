"""Stable Diffusion 1.5's text encoder: the last hidden states, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from runners.diffusion.families.stable_diffusion.text import EncodedPrompt, token_chunks


class Sd15PromptEncoder:
    """`PromptEncoder` over a StableDiffusionInpaintPipeline's tokenizer and text encoder."""

    blank_is_zero = False
    added_widths: Mapping[str, int] = {}

    def __init__(self, pipe: Any, device: torch.device) -> None:
        self._pipe, self._device = pipe, device

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        return {"text_encoder": self._pipe.text_encoder}

    def encode(self, prompt: str) -> EncodedPrompt:
        pipe = self._pipe
        chunks = token_chunks(pipe.tokenizer, prompt)
        if len(chunks) == 1:
            return EncodedPrompt(states=pipe.encode_prompt(prompt, self._device, 1, False)[0])
        states: torch.Tensor = pipe.text_encoder(torch.tensor(chunks, device=self._device))[0]
        return EncodedPrompt(states=states.reshape(1, -1, states.shape[2]).to(pipe.text_encoder.dtype))

    def sizes(self, size: tuple[int, int]) -> Mapping[str, torch.Tensor]:
        return {}
