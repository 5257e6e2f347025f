"""One denoising step for a batch, and what happens when memory runs out in it.

Out of memory: caches are dropped and the batch is split in halves, down to single requests; a single request is
retried once, alone, with every idle ControlNet dropped; only then it fails, and only it.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from composition.errors import CompositionError
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.row_budget import RowBudget
from runners.diffusion.families.sd15.compilation import RowRunner
from runners.diffusion.families.sd15.forward import BatchForward
from runners.diffusion.families.sd15.loras import LoraSwitch
from runners.diffusion.families.sd15.state import RequestState
from runners.errors import is_device_lost, is_out_of_memory, translate, translated

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class StepOutcome:
    """What became of one request in this step; `error` is None when it advanced."""

    state: RequestState
    error: CompositionError | None = None


class Stepper:
    """Runs steps on the engine's thread."""

    def __init__(
        self,
        forward: BatchForward,
        runner: RowRunner,
        loras: LoraSwitch,
        budget: RowBudget,
        counters: Counters,
        device: torch.device,
        *,
        release_memory: Callable[[], None],
    ) -> None:
        """Put the parts together.

        Args:
            forward: predicts the noise of a batch.
            runner: the UNet; told whether its weights are the plain ones.
            loras: switched to the batch's set.
            budget: told what fits.
            counters: told about splits and retries.
            device: where memory is measured and freed.
            release_memory: drops every cache and every idle ControlNet.
        """
        self._forward, self._runner, self._loras = forward, runner, loras
        self._budget, self._counters, self._device = budget, counters, device
        self._release_memory = release_memory

    def step(self, states: Sequence[RequestState]) -> list[StepOutcome]:
        """Advance every request of one bucket by one step, or say why it could not.

        Raises:
            torch.AcceleratorError: the device is lost, for everybody.
        """
        try:
            with translated("applying the LoRA"):
                self._loras.activate(states[0].loras)
        except CompositionError as error:
            return [StepOutcome(state=state, error=error) for state in states]
        self._runner.plain_weights = not states[0].loras
        return self._step(states, last_try=False)

    def _step(self, states: Sequence[RequestState], *, last_try: bool) -> list[StepOutcome]:
        size, rows = states[0].latent_size, sum(state.rows for state in states)
        try:
            noises = self._predict(states, rows)
        except Exception as error:
            if is_device_lost(error):
                raise
            if not is_out_of_memory(error):
                logger.exception("a denoising step failed")
                return self._isolate(states, error)
            self._budget.note_out_of_memory(size, rows)
        else:
            self._budget.note_success(size)
            return [self._advance(state, noise) for state, noise in zip(states, noises, strict=True)]
        # Outside the handler: the exception's traceback keeps the failed forward's tensors alive.
        return self._with_less(states, last_try=last_try)

    def _with_less(self, states: Sequence[RequestState], *, last_try: bool) -> list[StepOutcome]:
        self._free()
        if len(states) > 1:
            self._counters.add("out_of_memory_splits")
            half = len(states) // 2
            return self._step(states[:half], last_try=False) + self._step(states[half:], last_try=False)
        if not last_try:
            self._counters.add("out_of_memory_retries")
            return self._step(states, last_try=True)
        error = translate(MemoryError(), "denoising")
        return [StepOutcome(state=state, error=error) for state in states]

    def _isolate(self, states: Sequence[RequestState], error: Exception) -> list[StepOutcome]:
        """A failure that is not about memory may be one request's own: run each alone, so the others go on."""
        if len(states) == 1:
            return [StepOutcome(state=states[0], error=translate(error, "denoising"))]
        return [outcome for state in states for outcome in self._step([state], last_try=False)]

    def _predict(self, states: Sequence[RequestState], rows: int) -> list[torch.Tensor]:
        if self._device.type != "cuda":
            return self._forward.predict(states)
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        noises = self._forward.predict(states)
        peak = torch.cuda.max_memory_allocated(self._device) - before
        self._budget.note_peak(states[0].latent_size, rows, peak)
        return noises

    def _advance(self, state: RequestState, noise: torch.Tensor) -> StepOutcome:
        try:
            state.advance(noise)
        except Exception as error:
            logger.exception("the scheduler failed")
            if is_out_of_memory(error):
                self._free()
                return self._advance_again(state, noise)
            return StepOutcome(state=state, error=translate(error, "denoising"))
        return StepOutcome(state=state)

    def _advance_again(self, state: RequestState, noise: torch.Tensor) -> StepOutcome:
        try:
            state.advance(noise)
        except Exception as error:
            return StepOutcome(state=state, error=translate(error, "denoising"))
        return StepOutcome(state=state)

    def _free(self) -> None:
        self._release_memory()
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
