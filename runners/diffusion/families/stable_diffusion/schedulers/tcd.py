"""Trajectory consistency, arXiv 2402.19159: what the TCD-LoRA of `speed: turbo` is trained for."""

from __future__ import annotations

from typing import Any


def build(config: Any) -> Any:
    from diffusers import TCDScheduler

    return TCDScheduler.from_config(config)
