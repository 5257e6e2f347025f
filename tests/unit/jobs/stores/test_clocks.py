"""Jobs on a machine whose clock is set while they run."""

from __future__ import annotations

import pytest

from jobs.stores.clocks import AgeClock, LeaseWatch
from tests.unit.jobs.clock_steps import STEPS, Step
from tests.unit.jobs.job_samples import ManualClock
from tests.unit.jobs.job_store_machine import StoreOpener
from tests.unit.jobs.stores.test_job_stores_keep_the_rules import STORES


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("open_store", [opener for opener, _ in STORES.values()], ids=STORES)
async def test_whatever_the_clock_is_set_to(open_store: StoreOpener, step: Step) -> None:
    clock = ManualClock()
    async with open_store(clock) as store:
        await step(store, clock)


def test_a_lease_is_silent_from_the_moment_it_was_first_seen_as_it_is() -> None:
    clock = ManualClock()
    watch = LeaseWatch(clock.monotonic)
    assert watch.silences({"a": 1.0}) == {"a": 0.0}
    clock.advance(5)
    assert watch.silences({"a": 1.0, "b": 1.0}) == {"a": 5.0, "b": 0.0}
    clock.advance(5)
    watch.renewed("b", 2.0)
    assert watch.silences({"a": 3.0, "b": 2.0}) == {"a": 0.0, "b": 0.0}
    assert watch.silences({}) == {}
    clock.advance(5)
    assert watch.silences({"a": 3.0}) == {"a": 0.0}


def test_a_step_forward_makes_nothing_older_until_what_was_written_before_it_is_old() -> None:
    clock = ManualClock()
    ages = AgeClock(clock.monotonic)
    assert ages.without_steps(clock(), within_s=100) == clock()
    clock.advance(10)
    clock.set_by(3600)
    clock.advance(10)
    assert ages.without_steps(clock(), within_s=100) == clock() - 3600
    clock.set_by(-600)
    assert ages.without_steps(clock(), within_s=100) == clock() - 3000
    clock.set_by(-9000)
    assert ages.without_steps(clock(), within_s=100) == clock()
    clock.set_by(3600)
    assert ages.without_steps(clock(), within_s=100) == clock() - 3600
    clock.advance(99)
    assert ages.without_steps(clock(), within_s=100) == clock() - 3600
    clock.advance(1)
    assert ages.without_steps(clock(), within_s=100) == clock()


def test_a_clock_that_drifts_is_not_set() -> None:
    clock = ManualClock()
    ages = AgeClock(clock.monotonic)
    for _ in range(100):
        assert ages.without_steps(clock(), within_s=1e9) == clock()
        clock.advance(10)
        clock.set_by(1)
