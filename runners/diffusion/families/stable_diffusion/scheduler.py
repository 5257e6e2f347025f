"""The noise schedule of one request: its own scheduler object, because a multistep scheduler remembers its past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, kw_only=True, eq=False)
class Schedule:
    """`timesteps` (steps,) are those that really run: fewer than asked for when `strength` is below 1."""

    scheduler: Any
    timesteps: torch.Tensor


def build_schedule(
    config: Any, *, num_inference_steps: int, strength: float, fast: bool, device: torch.device
) -> Schedule:
    """A fresh scheduler with a saved one's configuration (betas, prediction type), advanced to where `strength` starts.

    Of `num_inference_steps` that share runs, as diffusers defines it, but at least one step. `fast` takes LCM instead
    of DPM-Solver++(2M).
    """
    from diffusers import DPMSolverMultistepScheduler, LCMScheduler

    if fast:
        scheduler = LCMScheduler.from_config(config)
    else:
        # Left alone, it takes "linspace" or "leading" depending on which keys the saved file happens to have.
        scheduler = DPMSolverMultistepScheduler.from_config(config, timestep_spacing="linspace")
    scheduler.set_timesteps(num_inference_steps, device=device)
    kept = max(1, min(int(num_inference_steps * strength), num_inference_steps))
    start = num_inference_steps - kept
    scheduler.set_begin_index(start)
    return Schedule(scheduler=scheduler, timesteps=scheduler.timesteps[start:])
