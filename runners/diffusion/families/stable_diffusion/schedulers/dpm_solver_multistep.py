"""DPM-Solver++(2M), arXiv 2211.01095."""

from __future__ import annotations

from typing import Any


def build(config: Any) -> Any:
    from diffusers import DPMSolverMultistepScheduler

    return DPMSolverMultistepScheduler.from_config(config, timestep_spacing="linspace", use_karras_sigmas=False)
