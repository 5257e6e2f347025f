"""One denoising step for a batch, and what happens when memory runs out in it.

Out of memory: all that can be freed is freed and the batch is split in halves, down to single regions of requests (or
to a group of them that stays together); a single one is retried once, alone; only then its request fails, and only it.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
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
        """Advance every request by one step, or say why it could not.

        The requests are of one bucket; regions of theirs that are not have forwards of their own.

        Raises: torch.AcceleratorError when the device is lost, for everybody.
        """
        acting = [region for state in states for region in state.acting]
        answers: dict[int, Any] = {}
        for bucket in dict.fromkeys(region.bucket for region in acting):
            own = [region for region in acting if region.bucket == bucket]
            answers |= {id(region): answer for region, answer in zip(own, self._answers(own), strict=True)}
        failed = {place: answer for place, answer in answers.items() if isinstance(answer, CompositionError)}
        ready = [state for state in states if not any(id(region) in failed for region in state.acting)]
        moving = [region for state in ready for region in state.acting]
        failed |= self._advance(moving, [answers[id(region)] for region in moving])
        return [self._outcome(state, failed) for state in states]

    def _answers(self, regions: Sequence[RequestState]) -> list[Any]:
        """A prediction or a CompositionError for each, all of one bucket."""
        bucket = regions[0].bucket
        try:
            with translated("preparing the model"):
                self._family.activate(bucket)
        except CompositionError as error:
            return [error] * len(regions)
        limit = self._budget.limit(bucket.latent_size)
        return [answer for batch in _batches(_inseparable(regions), limit) for answer in self._predict(batch)]

    def _outcome(self, state: RequestState, failed: Mapping[int, CompositionError]) -> StepOutcome:
        """`failed`: of the regions that have not taken the step the reason, by their identity."""
        error = next((failed[id(region)] for region in state.acting if id(region) in failed), None)
        return StepOutcome(state=state, error=error) if error is not None else self._settled(state)

    def _predict(self, regions: Sequence[RequestState], *, last_try: bool = False) -> list[Any]:
        size, rows = regions[0].bucket.latent_size, sum(region.rows for region in regions)
        beside = self._work_beside()
        try:
            predictions, peak_bytes = self._forward(regions)
        except Exception as error:
            if is_device_lost(error):
                raise
            if not is_out_of_memory(error):
                logger.exception("a denoising step failed")
                return self._isolate(regions, error)
            self._budget.note_out_of_memory(size, rows)
        else:
            alone = beside == self._work_beside() and beside % 2 == 0
            if peak_bytes is not None and alone:
                self._budget.note_peak(size, rows, peak_bytes)
                self._measured = _composition(regions)
            self._budget.note_success(size)
            return list(predictions)
        # Outside the handler: the exception's traceback keeps the failed forward's tensors alive.
        return self._with_less(regions, last_try=last_try)

    def _forward(self, regions: Sequence[RequestState]) -> tuple[Sequence[Any], int | None]:
        """What the family predicts, and what that took; None where it cannot be told or is known from a step before."""
        if self._measured == _composition(regions):
            return self._family.predict(regions), None
        return self._device.measured(lambda: self._family.predict(regions))

    def _with_less(self, regions: Sequence[RequestState], *, last_try: bool) -> list[Any]:
        self._free()
        parts = _inseparable(regions)
        if len(parts) > 1:
            self._counters.add("out_of_memory_splits")
            half = len(parts) // 2
            return [answer for some in (parts[:half], parts[half:]) for answer in self._predict(_all_of(some))]
        if not last_try:
            self._counters.add("out_of_memory_retries")
            return self._predict(regions, last_try=True)
        return [translate(MemoryError(), "denoising")] * len(regions)

    def _isolate(self, regions: Sequence[RequestState], error: Exception) -> list[Any]:
        """A failure that is not about memory may be one region's own: run each alone, so the others go on."""
        parts = _inseparable(regions)
        if len(parts) == 1:
            return [translate(error, "denoising")] * len(regions)
        return [answer for part in parts for answer in self._predict(part)]

    def _advance(self, regions: Sequence[RequestState], predictions: Sequence[Any]) -> dict[int, CompositionError]:
        """All in one update; where that fails each alone, and what finds no memory once more. Returns what failed."""
        try:
            self._family.advance(regions, predictions)
        except Exception as error:
            if is_device_lost(error):
                raise
            logger.exception("the scheduler failed")
            out_of_memory = is_out_of_memory(error)
            if len(regions) == 1 and not out_of_memory:
                return {id(regions[0]): translate(error, "denoising")}
        else:
            return {}
        if out_of_memory:
            self._free()
        alone = [(region, self._advance_alone(region, one)) for region, one in zip(regions, predictions, strict=True)]
        return {id(region): error for region, error in alone if error is not None}

    def _advance_alone(self, region: RequestState, prediction: Any) -> CompositionError | None:
        try:
            self._family.advance([region], [prediction])
        except Exception as error:
            if is_device_lost(error):
                raise
            logger.exception("a request's scheduler failed")
            return translate(error, "denoising")
        return None

    def _settled(self, state: RequestState, *, last_try: bool = False) -> StepOutcome:
        try:
            state.settle()
        except Exception as error:
            if is_device_lost(error):
                raise
            logger.exception("the regions of a request could not be put together")
            if is_out_of_memory(error) and not last_try:
                self._free()
                return self._settled(state, last_try=True)
            return StepOutcome(state=state, error=translate(error, "denoising"))
        return StepOutcome(state=state)

    def _free(self) -> None:
        self._family.release_memory()
        self._device.release()


def _inseparable(regions: Sequence[RequestState]) -> list[list[RequestState]]:
    """In order, those of one group together and each of the others by itself."""
    return [list(part) for _, part in groupby(regions, key=lambda region: region.group or region)]


def _all_of(parts: Sequence[Sequence[RequestState]]) -> list[RequestState]:
    return [region for part in parts for region in part]


def _batches(parts: Sequence[Sequence[RequestState]], max_rows: int) -> Iterator[list[RequestState]]:
    """In order, as many at a time as `max_rows` holds, at least one: a request of several regions may take more."""
    batch: list[RequestState] = []
    for part in parts:
        if batch and sum(one.rows for one in (*batch, *part)) > max_rows:
            yield batch
            batch = []
        batch += part
    yield batch


def _composition(regions: Sequence[RequestState]) -> list[Hashable]:
    """Equal for steps that take the same memory: of the same regions, with the same at work in them."""
    return [(weakref.ref(region), region.bucket, region.workload) for region in regions]
