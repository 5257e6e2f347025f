"""The schedulers that a request may name, a file each: `build` makes one of a saved scheduler's configuration.

Left alone, they space their timesteps by "linspace" or "leading" depending on which keys the saved file happens to
have: each pins its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from composition.request import Scheduler, Speed
from runners.diffusion.families.stable_diffusion.schedulers import (
    dpm_solver_multistep,
    dpm_solver_multistep_karras,
    lcm,
    tcd,
    unipc_multistep,
)

BUILDERS: Mapping[Scheduler, Callable[[Any], Any]] = {
    Scheduler.DPM_SOLVER: dpm_solver_multistep.build,
    Scheduler.DPM_SOLVER_KARRAS: dpm_solver_multistep_karras.build,
    Scheduler.UNIPC: unipc_multistep.build,
}
"""Everyone takes latents as they are (no input scaling), which a batch of requests relies on."""

OF_FEW_STEPS: Mapping[Speed, Callable[[Any], Any]] = {Speed.FAST: lcm.build, Speed.TURBO: tcd.build}
"""In the place of the one that a request names; both add noise in every step but the last."""
