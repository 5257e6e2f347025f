"""DPM-Solver++(2M) at the noise levels of arXiv 2206.00364: small steps where detail is made ("DPM++ 2M Karras")."""

from __future__ import annotations

from typing import Any


def build(config: Any) -> Any:
    from diffusers import DPMSolverMultistepScheduler

    return DPMSolverMultistepScheduler.from_config(config, timestep_spacing="linspace", use_karras_sigmas=True)
