"""The noise schedule of one request: its own scheduler object, because a multistep scheduler remembers its past."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from composition.request import Scheduler
from runners.diffusion.families.stable_diffusion.schedulers import BUILDERS, lcm


@dataclass(frozen=True, kw_only=True, eq=False)
class Schedule:
    """`timesteps` (steps,) are those that really run: fewer than asked for when `strength` is below 1."""

    scheduler: Any
    timesteps: torch.Tensor

    def step(
        self, prediction: torch.Tensor, timestep: torch.Tensor, latents: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """The latents after one step; not every scheduler draws."""
        draws: Mapping[str, Any] = {"generator": generator} if self._takes_generator else {}
        after: torch.Tensor = self.scheduler.step(prediction, timestep, latents, return_dict=False, **draws)[0]
        return after

    @property
    def _takes_generator(self) -> bool:
        return "generator" in inspect.signature(self.scheduler.step).parameters


def build_schedule(
    config: Any,
    *,
    num_inference_steps: int,
    strength: float,
    fast: bool,
    device: torch.device,
    scheduler: Scheduler = Scheduler.DPM_SOLVER,
) -> Schedule:
    """A fresh scheduler with a saved one's configuration (betas, prediction type), advanced to where `strength` starts.

    Of `num_inference_steps` that share runs, as diffusers defines it, but at least one step. `fast` takes LCM instead
    of `scheduler`.
    """
    chosen = lcm.build(config) if fast else BUILDERS[scheduler](config)
    chosen.set_timesteps(num_inference_steps, device=device)
    kept = max(1, min(int(num_inference_steps * strength), num_inference_steps))
    start = num_inference_steps - kept
    chosen.set_begin_index(start)
    return Schedule(scheduler=chosen, timesteps=chosen.timesteps[start:])
