"""A prompt of any length -> **text conditioning**: what an encoder reads at once, as often as it takes.

CLIP reads 77 tokens, 75 of the prompt between a start and an end. A longer prompt is encoded 75 tokens at a time and
the states put one after the other, the usual way (AUTOMATIC1111's stable-diffusion-webui): nothing is cut off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import torch
from torch import nn

TEXT: Final = "encoder_hidden_states"
"""What diffusers' networks call the text conditioning."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EncodedPrompt:
    """`states` (1, 77 x chunks, channels); `added`: what else the UNet takes of it, (1, width) by the UNet's names."""

    states: torch.Tensor
    added: Mapping[str, torch.Tensor] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        return self.states.shape[1]

    @property
    def size_bytes(self) -> int:
        return sum(tensor.untyped_storage().nbytes() for tensor in (self.states, *self.added.values()))

    def zeros(self) -> EncodedPrompt:
        """As long as this one, and nothing in it."""
        added = {name: torch.zeros_like(tensor) for name, tensor in self.added.items()}
        return EncodedPrompt(states=torch.zeros_like(self.states), added=added)

    def followed_by(self, more: EncodedPrompt, times: int) -> EncodedPrompt:
        """With the states of another one behind its own; what is added stays that of the first."""
        return EncodedPrompt(states=torch.cat([self.states, *[more.states] * times], dim=1), added=self.added)


class PromptEncoder(Protocol):
    """A family's text encoders; used by one thread at a time.

    Attributes:
        modules: every network, by name.
        blank_is_zero: no negative prompt means zeros instead of the blank prompt's encoding.
        added_widths: of all that the UNet takes beside the states, for prompts and sizes.
    """

    @property
    def modules(self) -> Mapping[str, nn.Module]: ...

    @property
    def blank_is_zero(self) -> bool: ...

    @property
    def added_widths(self) -> Mapping[str, int]: ...

    def encode(self, prompt: str) -> EncodedPrompt:
        """A prompt that fits into one chunk is encoded as by the stock pipeline; "" gives the blank prompt."""
        ...

    def sizes(self, size: tuple[int, int]) -> Mapping[str, torch.Tensor]:
        """What the UNet takes of the image's (height, width), (1, width) by the UNet's names."""
        ...


def token_chunks(tokenizer: Any, prompt: str) -> list[list[int]]:
    """The prompt's token ids, each chunk with its own start and end and padded to what the encoder reads at once.

    An embedding of several vectors stands for as many tokens.
    """
    from diffusers.loaders import TextualInversionLoaderMixin

    prompt = TextualInversionLoaderMixin().maybe_convert_prompt(prompt, tokenizer)
    length: int = tokenizer.model_max_length
    ids: list[int] = tokenizer(prompt, add_special_tokens=False, verbose=False).input_ids
    parts = [ids[start : start + length - 2] for start in range(0, max(len(ids), 1), length - 2)]
    chunks = [[tokenizer.bos_token_id, *part, tokenizer.eos_token_id] for part in parts]
    return [[*chunk, *[tokenizer.pad_token_id] * (length - len(chunk))] for chunk in chunks]
