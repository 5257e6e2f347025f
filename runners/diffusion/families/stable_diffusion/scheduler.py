"""The noise schedule of one request: its own, because a multistep scheduler remembers its past."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from composition.request import Scheduler, Speed
from runners.diffusion.families.stable_diffusion.schedulers import BUILDERS, OF_FEW_STEPS
from runners.diffusion.families.stable_diffusion.solvers.moves import SolverStep
from runners.diffusion.families.stable_diffusion.solvers.registry import solver_steps


@dataclass(frozen=True, kw_only=True, eq=False)
class Schedule:
    """How one request is denoised.

    Attributes:
        scheduler: of diffusers; takes a step itself only where `steps` is None.
        timesteps: (steps,), those that really run: fewer than asked for when `strength` is below 1.
        steps: numbers of each step, for an update together with others; None for a variant that no solver here has.
        noise_shares: of data and noise in latents before each step, rounded to their format.
        draws: whether every step but the last adds noise.
    """

    scheduler: Any
    timesteps: torch.Tensor
    steps: Sequence[SolverStep] | None
    noise_shares: Sequence[tuple[float, float]]
    draws: bool

    def stock_step(
        self, prediction: torch.Tensor, step: int, latents: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """The latents after one step by diffusers, which the scheduler remembers."""
        draws: Mapping[str, Any] = {"generator": generator} if _takes_generator(self.scheduler) else {}
        after: torch.Tensor = self.scheduler.step(
            prediction, self.timesteps[step], latents, return_dict=False, **draws
        )[0]
        return after

    def before_its_first_step(self, dtype: torch.dtype) -> Schedule:
        """Another one for latents of `dtype`, of a schedule that has taken no step."""
        scheduler = copy.deepcopy(self.scheduler)
        start = scheduler.begin_index
        return replace(
            self,
            scheduler=scheduler,
            steps=solver_steps(scheduler, start, dtype),
            noise_shares=_noise_shares(scheduler, start, dtype),
        )

    @contextmanager
    def as_before_a_failure(self, generator: torch.Generator) -> Iterator[None]:
        """A failure inside leaves the scheduler and the generator as they were."""
        scheduler, random = self.scheduler, generator.get_state()
        before = {name: list(value) if isinstance(value, list) else value for name, value in vars(scheduler).items()}
        try:
            yield
        except BaseException:
            vars(scheduler).update(before)
            generator.set_state(random)
            raise


def build_schedule(
    config: Any,
    *,
    num_inference_steps: int,
    strength: float,
    speed: Speed = Speed.NORMAL,
    device: torch.device,
    dtype: torch.dtype,
    scheduler: Scheduler = Scheduler.DPM_SOLVER,
) -> Schedule:
    """A fresh scheduler with a saved one's configuration (betas, prediction type), advanced to where `strength` starts.

    Of `num_inference_steps` that share runs, as diffusers defines it, but at least one step. A speed of few steps takes
    its own instead of `scheduler`. Latents are of `dtype`.
    """
    of_speed = OF_FEW_STEPS.get(speed)
    chosen = (of_speed or BUILDERS[scheduler])(config)
    chosen.set_timesteps(num_inference_steps, device=device)
    kept = max(1, min(int(num_inference_steps * strength), num_inference_steps))
    start = num_inference_steps - kept
    chosen.set_begin_index(start)
    steps = solver_steps(chosen, start, dtype)
    return Schedule(
        scheduler=chosen,
        timesteps=chosen.timesteps[start:],
        steps=steps,
        noise_shares=_noise_shares(chosen, start, dtype),
        draws=steps is not None and of_speed is not None,
    )


def _takes_generator(scheduler: Any) -> bool:
    return "generator" in inspect.signature(scheduler.step).parameters


def _noise_shares(scheduler: Any, start: int, dtype: torch.dtype) -> list[tuple[float, float]]:
    """What the scheduler's own `add_noise` makes of data alone and of noise alone, at each step.

    It is told where it is, as it would know after its own steps.
    """
    one, none = torch.ones(1, dtype=dtype), torch.zeros(1, dtype=dtype)
    timesteps, shares = scheduler.timesteps.cpu(), []
    for index in range(start, len(timesteps)):
        scheduler._step_index = index
        at = timesteps[index : index + 1]
        shares.append((float(scheduler.add_noise(one, none, at)), float(scheduler.add_noise(none, one, at))))
    scheduler._step_index = None
    return shares
