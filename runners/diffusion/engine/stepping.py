"""One denoising step for a batch, and what happens when memory runs out in it.

Out of memory: all that can be freed is freed and the batch is split in halves, down to single requests; a single
request is retried once, alone; only then it fails, and only it.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from composition.errors import CompositionError
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.device import Device
from runners.diffusion.engine.family import Family
from runners.diffusion.engine.row_budget import RowBudget
from runners.diffusion.engine.state import RequestState
from runners.errors import is_device_lost, is_out_of_memory, translate, translated

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class StepOutcome:
    """What became of one request in this step; `error` is None when it advanced."""

    state: RequestState
    error: CompositionError | None = None


class Stepper:
    """`work_beside` is `SideWork.beside`: what decoding allocates beside a forward is not the forward's."""

    def __init__(
        self,
        family: Family[Any],
        device: Device,
        budget: RowBudget,
        counters: Counters,
        *,
        work_beside: Callable[[], int] = lambda: 0,
    ) -> None:
        self._family, self._device, self._budget, self._counters = family, device, budget, counters
        self._work_beside = work_beside
        self._measured: Sequence[Hashable] = ()

    def step(self, states: Sequence[RequestState]) -> list[StepOutcome]:
        """Advance every request of one bucket by one step, or say why it could not.

        Raises: torch.AcceleratorError when the device is lost, for everybody.
        """
        try:
            with translated("preparing the model"):
                self._family.activate(states[0].bucket)
        except CompositionError as error:
            return [StepOutcome(state=state, error=error) for state in states]
        return self._step(states, last_try=False)

    def _step(self, states: Sequence[RequestState], *, last_try: bool) -> list[StepOutcome]:
        size, rows = states[0].bucket.latent_size, sum(state.rows for state in states)
        beside = self._work_beside()
        try:
            predictions, peak_bytes = self._predict(states)
        except Exception as error:
            if is_device_lost(error):
                raise
            if not is_out_of_memory(error):
                logger.exception("a denoising step failed")
                return self._isolate(states, error)
            self._budget.note_out_of_memory(size, rows)
        else:
            alone = beside == self._work_beside() and beside % 2 == 0
            if peak_bytes is not None and alone:
                self._budget.note_peak(size, rows, peak_bytes)
                self._measured = _composition(states)
            self._budget.note_success(size)
            return self._advance(states, predictions)
        # Outside the handler: the exception's traceback keeps the failed forward's tensors alive.
        return self._with_less(states, last_try=last_try)

    def _predict(self, states: Sequence[RequestState]) -> tuple[Sequence[Any], int | None]:
        """What the family predicts, and what that took; None where it cannot be told or is known from a step before."""
        if self._measured == _composition(states):
            return self._family.predict(states), None
        return self._device.measured(lambda: self._family.predict(states))

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

    def _advance(self, states: Sequence[RequestState], predictions: Sequence[Any]) -> list[StepOutcome]:
        """All in one update; where that fails each alone, and what finds no memory once more."""
        try:
            self._family.advance(states, predictions)
        except Exception as error:
            if is_device_lost(error):
                raise
            logger.exception("the scheduler failed")
            out_of_memory = is_out_of_memory(error)
            if len(states) == 1 and not out_of_memory:
                return [StepOutcome(state=states[0], error=translate(error, "denoising"))]
        else:
            return [StepOutcome(state=state) for state in states]
        if out_of_memory:
            self._free()
        return [self._advance_alone(state, one) for state, one in zip(states, predictions, strict=True)]

    def _advance_alone(self, state: RequestState, prediction: Any) -> StepOutcome:
        try:
            self._family.advance([state], [prediction])
        except Exception as error:
            if is_device_lost(error):
                raise
            logger.exception("a request's scheduler failed")
            return StepOutcome(state=state, error=translate(error, "denoising"))
        return StepOutcome(state=state)

    def _free(self) -> None:
        self._family.release_memory()
        self._device.release()


def _composition(states: Sequence[RequestState]) -> list[Hashable]:
    """Equal for steps that take the same memory: of the same requests, with the same at work in them."""
    return [(weakref.ref(state), state.bucket, state.acting) for state in states]
