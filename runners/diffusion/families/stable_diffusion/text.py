"""A prompt of any length -> **text conditioning**: what the encoder reads at once, as often as it takes.

CLIP reads 77 tokens, 75 of the prompt between a start and an end. A longer prompt is encoded 75 tokens at a time and
the states put one after the other, the usual way (AUTOMATIC1111's stable-diffusion-webui): nothing is cut off.
"""

from __future__ import annotations

from typing import Any

import torch


def encode_text(pipe: Any, prompt: str, device: torch.device) -> torch.Tensor:
    """The text encoder's last hidden states (1, 77 x chunks, channels); a prompt that fits is encoded as stock.

    Args:
        pipe: StableDiffusionInpaintPipeline, for its tokenizer and text encoder.
        prompt: "" gives the blank prompt.
        device: where the text encoder is.
    """
    chunks = token_chunks(pipe.tokenizer, prompt)
    if len(chunks) == 1:
        whole: torch.Tensor = pipe.encode_prompt(prompt, device, 1, False)[0]
        return whole
    states: torch.Tensor = pipe.text_encoder(torch.tensor(chunks, device=device))[0]
    return states.reshape(1, -1, states.shape[2]).to(pipe.text_encoder.dtype)


def token_chunks(tokenizer: Any, prompt: str) -> list[list[int]]:
    """The prompt's token ids, each chunk with its own start and end and padded to what the encoder reads at once."""
    length: int = tokenizer.model_max_length
    ids: list[int] = tokenizer(prompt, add_special_tokens=False, verbose=False).input_ids
    parts = [ids[start : start + length - 2] for start in range(0, max(len(ids), 1), length - 2)]
    chunks = [[tokenizer.bos_token_id, *part, tokenizer.eos_token_id] for part in parts]
    return [[*chunk, *[tokenizer.pad_token_id] * (length - len(chunk))] for chunk in chunks]
