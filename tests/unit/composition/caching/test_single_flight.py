"""What is computed once, for how long, and what a caller's cancellation touches."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from composition.caching.content_cache import ContentCache
from composition.caching.frozen import VALUE_OVERHEAD_BYTES, size_bytes
from composition.caching.single_flight import SingleFlight, recorded_outcomes
from composition.errors import InternalError, ModelError
from tests.unit.composition.caching.conftest import Clock


class Work:
    """A computation that a test can hold, count and fail."""

    def __init__(self, value="value"):
        self.value = value
        self.error = None
        self.started = 0
        self.ended = 0
        self.cancelled = 0
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self):
        self.started += 1
        self.begun.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.ended += 1
        if self.error is not None:
            raise self.error
        return self.value


async def several_turns():
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_value_is_computed_once_and_found_again(cache, values):
    work = Work()
    assert await cache.get("depth", b"k", work) == "value"
    assert await cache.get("depth", b"k", work) == "value"
    assert work.started == 1
    assert (values.counts().hits, values.counts().misses) == (1, 1)


async def test_another_key_is_another_value(cache):
    assert await cache.get("depth", b"a", Work("a")) == "a"
    assert await cache.get("depth", b"b", Work("b")) == "b"


async def test_a_value_lives_for_its_time_and_not_a_moment_longer(cache, clock):
    work = Work()
    await cache.get("depth", b"k", work)
    clock.now += 299.9
    await cache.get("depth", b"k", work)
    assert work.started == 1
    clock.now += 0.1
    await cache.get("depth", b"k", work)
    assert work.started == 2


async def test_being_used_does_not_prolong_a_value(cache, clock):
    work = Work()
    for _ in range(4):
        await cache.get("depth", b"k", work)
        clock.now += 100.0
    assert work.started == 2


async def test_expired_values_give_their_bytes_back(cache, values, clock):
    await cache.get("depth", b"old", Work(np.zeros(1000, np.uint8)))
    clock.now += 300.0
    await cache.get("depth", b"new", Work(np.zeros(10, np.uint8)))
    assert values.counts().bytes == 10 + VALUE_OVERHEAD_BYTES


async def test_the_least_recently_used_value_makes_room(make_values):
    entry = 1000 + VALUE_OVERHEAD_BYTES
    values = make_values(2 * entry)
    cache = SingleFlight(values)
    works = {key: Work(np.zeros(1000, np.uint8)) for key in (b"a", b"b", b"c")}
    for key in (b"a", b"b", b"a", b"c", b"a", b"b"):
        await cache.get("depth", key, works[key])
    assert {key: work.started for key, work in works.items()} == {b"a": 1, b"b": 2, b"c": 1}
    assert values.counts().bytes == 2 * entry


async def test_a_value_above_the_limit_is_handed_out_but_not_kept(make_values):
    cache = SingleFlight(make_values(2000))
    small, large = Work(np.zeros(100, np.uint8)), Work(np.zeros(5000, np.uint8))
    await cache.get("depth", b"small", small)
    assert (await cache.get("depth", b"large", large)).nbytes == 5000
    await cache.get("depth", b"large", large)
    await cache.get("depth", b"small", small)
    assert (small.started, large.started) == (1, 2)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 900), st.integers(0, 120)), max_size=40))
def test_the_byte_limit_holds_whatever_is_asked_for(steps):
    async def run():
        clock = Clock()
        values = ContentCache(ttl_s=300.0, max_bytes=4000, size_of=size_bytes, clock=clock)
        cache = SingleFlight(values)
        for key, size, later in steps:
            await cache.get("depth", bytes([key]), Work(np.zeros(size, np.uint8)))
            clock.now += later
            assert 0 <= values.counts().bytes <= 4000
        clock.now += 300.0
        await cache.get("depth", b"last", Work(np.zeros(1, np.uint8)))
        assert values.counts().bytes == 1 + VALUE_OVERHEAD_BYTES

    asyncio.run(run())


async def test_requests_at_the_same_time_compute_once(cache, values):
    work = Work()
    work.gate.clear()
    waiting = [asyncio.create_task(cache.get("depth", b"k", work)) for _ in range(8)]
    await work.begun.wait()
    await several_turns()
    work.gate.set()
    assert await asyncio.gather(*waiting) == ["value"] * 8
    assert work.started == 1
    assert (values.counts().hits, values.counts().misses) == (7, 1)


async def test_a_failure_reaches_everybody_who_waited_and_is_not_kept(cache):
    work = Work()
    work.gate.clear()
    work.error = ModelError("no depth")
    waiting = [asyncio.create_task(cache.get("depth", b"k", work)) for _ in range(3)]
    await work.begun.wait()
    work.gate.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ModelError] * 3
    work.error = None
    assert await cache.get("depth", b"k", work) == "value"
    assert work.started == 2


async def test_a_cancelled_leader_does_not_fail_its_followers(cache):
    work = Work()
    work.gate.clear()
    leader = asyncio.create_task(cache.get("depth", b"k", work))
    await work.begun.wait()
    follower = asyncio.create_task(cache.get("depth", b"k", work))
    await several_turns()
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    work.gate.set()
    assert await follower == "value"
    assert (work.started, work.cancelled) == (1, 0)


async def test_the_work_stops_when_the_last_who_waits_leaves(cache):
    work = Work()
    work.gate.clear()
    waiting = [asyncio.create_task(cache.get("depth", b"k", work)) for _ in range(2)]
    await work.begun.wait()
    await several_turns()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await several_turns()
    assert (work.cancelled, work.ended) == (1, 0)


async def test_a_request_after_the_last_left_starts_afresh(cache):
    work = Work()
    work.gate.clear()
    first = asyncio.create_task(cache.get("depth", b"k", work))
    await work.begun.wait()
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    second = asyncio.create_task(cache.get("depth", b"k", work))
    await several_turns()
    work.gate.set()
    assert await second == "value"
    assert work.started == 2
    assert await cache.get("depth", b"k", work) == "value"
    assert work.started == 2


async def test_a_computation_that_is_cancelled_from_elsewhere_is_an_error_and_not_a_cancellation(cache):
    async def stopped():
        raise asyncio.CancelledError

    with pytest.raises(InternalError):
        await cache.get("depth", b"k", stopped)


async def test_a_failure_after_everybody_left_is_not_reported_as_forgotten(cache):
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    gate = asyncio.Event()
    begun = asyncio.Event()

    async def fails_when_cancelled():
        begun.set()
        try:
            await gate.wait()
        except asyncio.CancelledError:
            raise ModelError("cleaning up failed") from None

    only = asyncio.create_task(cache.get("depth", b"k", fails_when_cancelled))
    await begun.wait()
    only.cancel()
    await asyncio.gather(only, return_exceptions=True)
    await several_turns()
    assert complaints == []


async def test_arrays_cannot_be_changed_by_whoever_gets_them(cache):
    source = np.arange(12, dtype=np.uint8).reshape(3, 4)
    first = await cache.get("depth", b"k", Work(source))
    source[:] = 99
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        first.flags.writeable = True
    second = await cache.get("depth", b"k", Work())
    assert second.tolist() == np.arange(12).reshape(3, 4).tolist()


async def test_what_the_cache_did_is_told_per_request(cache):
    with recorded_outcomes() as first:
        await asyncio.gather(cache.get("depth", b"d", Work()), cache.get("pose", b"p", Work()))
    with recorded_outcomes() as second:
        await asyncio.gather(cache.get("depth", b"d", Work()), cache.get("pose", b"q", Work()))
        await cache.get("pose", b"q", Work())
    assert first == {"depth": "miss", "pose": "miss"}
    assert second == {"depth": "hit", "pose": "miss"}
