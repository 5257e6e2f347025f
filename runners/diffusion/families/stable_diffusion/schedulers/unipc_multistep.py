"""UniPC, a predictor and corrector for few steps, arXiv 2302.04867."""

from __future__ import annotations

from typing import Any


def build(config: Any) -> Any:
    from diffusers import UniPCMultistepScheduler

    return UniPCMultistepScheduler.from_config(config, timestep_spacing="linspace", use_karras_sigmas=False)
