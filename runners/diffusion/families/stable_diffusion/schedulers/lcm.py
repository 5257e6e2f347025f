"""Latent consistency, arXiv 2310.04378: what the LCM-LoRA of `speed: fast` is trained for."""

from __future__ import annotations

from typing import Any


def build(config: Any) -> Any:
    from diffusers import LCMScheduler

    return LCMScheduler.from_config(config)
