"""Which solver takes the steps of a scheduler of diffusers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from runners.diffusion.families.stable_diffusion.solvers import dpm_solver, lcm, tcd, unipc
from runners.diffusion.families.stable_diffusion.solvers.moves import SolverStep


def solver_steps(scheduler: Any, begin: int, dtype: torch.dtype) -> Sequence[SolverStep] | None:
    """Its steps from `begin` on, for latents of `dtype`; None where no solver has its variant."""
    from diffusers import DPMSolverMultistepScheduler, LCMScheduler, TCDScheduler, UniPCMultistepScheduler

    if isinstance(scheduler, DPMSolverMultistepScheduler):
        return dpm_solver.solver_steps(scheduler, begin)
    if isinstance(scheduler, UniPCMultistepScheduler):
        return unipc.solver_steps(scheduler, begin, dtype)
    if isinstance(scheduler, LCMScheduler):
        return lcm.solver_steps(scheduler, begin)
    if isinstance(scheduler, TCDScheduler):
        return tcd.solver_steps(scheduler, begin)
    return None
