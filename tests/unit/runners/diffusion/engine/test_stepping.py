"""A step that runs out of memory is tried with less, and one request's failure is its own."""

from __future__ import annotations

import numpy as np

from composition.errors import ModelError, OutOfMemory
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.row_budget import RowBudget
from runners.diffusion.engine.state import Bucket
from runners.diffusion.engine.stepping import Stepper
from tests.unit.runners.diffusion.engine.drifting import DRIFT, DriftFamily, DriftState, PlainDevice

BUCKET = Bucket(latent_size=(8, 8), shared=())


def states(count):
    return [
        DriftState(bucket=BUCKET, steps=4, models_used=(), cache={}, latents=np.full((8, 8), float(seed)))
        for seed in range(count)
    ]


def stepper(family, counters=None):
    budget = RowBudget(8, lambda: None)
    return Stepper(family, PlainDevice(family), budget, counters or Counters())


def test_what_does_not_fit_is_halved_until_it_does():
    family, counters, batch = DriftFamily(), Counters(), states(8)
    family.room = 2
    outcomes = stepper(family, counters).step(batch)
    assert family.batches == [8, 4, 2, 2, 4, 2, 2]
    assert counters.snapshot() == {"out_of_memory_splits": 3}
    assert family.releases == 3
    assert [outcome.state for outcome in outcomes] == batch
    assert [outcome.error for outcome in outcomes] == [None] * 8
    assert [state.latents[0, 0] for state in batch] == [seed + DRIFT for seed in range(8)]


def test_a_single_request_that_does_not_fit_is_tried_once_more_and_then_fails():
    family, counters = DriftFamily(), Counters()
    family.room = 0
    (outcome,) = stepper(family, counters).step(states(1))
    assert family.batches == [1, 1]
    assert counters.snapshot() == {"out_of_memory_retries": 1}
    assert type(outcome.error) is OutOfMemory


def test_a_failure_that_is_one_requests_own_fails_only_it():
    family, batch = DriftFamily(), states(3)
    family.fail = lambda work, of: ValueError("bad") if work == "predict" and batch[1] in of else None
    outcomes = stepper(family).step(batch)
    assert family.batches == [3, 1, 1, 1]
    assert [type(outcome.error) for outcome in outcomes] == [type(None), ModelError, type(None)]
    assert [outcome.state for outcome in outcomes] == batch
    assert [state.step for state in batch] == [1, 0, 1]


def test_a_scheduler_that_runs_out_of_memory_is_tried_once_more_after_making_room():
    def advanced(failures, count=1):
        family, batch, tried = DriftFamily(), states(count), []

        def fail(work, of):
            if work != "advance":
                return None
            tried.append(len(of))
            return MemoryError() if len(tried) <= failures else None

        family.fail = fail
        outcomes = stepper(family).step(batch)
        assert [outcome.state for outcome in outcomes] == batch
        return [type(outcome.error) for outcome in outcomes], [state.step for state in batch], tried, family.releases

    assert advanced(1) == ([type(None)], [1], [1, 1], 1)
    assert advanced(5) == ([OutOfMemory], [0], [1, 1], 1)
    assert advanced(1, count=3) == ([type(None)] * 3, [1, 1, 1], [3, 1, 1, 1], 1)


def test_a_scheduler_that_fails_for_one_request_fails_only_it():
    family, batch = DriftFamily(), states(3)
    family.fail = lambda work, of: ValueError("bad") if work == "advance" and batch[1] in of else None
    outcomes = stepper(family).step(batch)
    assert [type(outcome.error) for outcome in outcomes] == [type(None), ModelError, type(None)]
    assert [state.step for state in batch] == [1, 0, 1]
    assert family.releases == 0


def stepper_beside(beside, *, during=0):
    """A stepper whose forwards seem to take all of the memory while `beside` is odd, and the rows that its budget has.

    `during` is what a forward adds to `beside`: work that begins, or begins and ends, while it runs.
    """

    class SharedDevice(PlainDevice):
        def measured(self, work):
            result = work()
            beside[0] += during
            return result, 1000 if beside[0] % 2 or during else 100

    family = DriftFamily()
    budget = RowBudget(10, lambda: 1250)
    device = SharedDevice(family, free_bytes=1250)
    stepper = Stepper(family, device, budget, Counters(), work_beside=lambda: beside[0])
    return stepper, lambda: budget.limit(BUCKET.latent_size)


def test_what_is_decoded_beside_a_forward_is_not_taken_for_the_forwards():
    beside = [1]
    one, limit = stepper_beside(beside)
    one.step(states(1))
    assert limit() == 10
    beside[0] = 2
    one.step(states(1))
    assert limit() == 10
    two, limit = stepper_beside([0], during=2)
    two.step(states(1))
    assert limit() == 10


def test_what_a_forward_takes_alone_limits_the_next_one():
    alone, limit = stepper_beside([0])
    alone.step(states(1))
    alone._device.measured = lambda work: (work(), 500)
    alone.step(states(1))
    assert limit() == 2
