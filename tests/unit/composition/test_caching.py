"""The cache and the cached ports: what is computed once, for how long, and what a caller's cancellation touches."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from composition.caching import (
    VALUE_OVERHEAD_BYTES,
    CacheCounts,
    CachedAnalyzer,
    CachedDepthEstimator,
    CachedDetector,
    CachedPoseEstimator,
    CachedSegmenter,
    ContentCache,
    content_key,
    freeze,
    recorded_outcomes,
    size_bytes,
)
from composition.decision import ReferenceKind
from composition.errors import InternalError, ModelError
from composition.images import Box, Detection
from tests.fakes.fake_detector import FakeDetector, detection
from tests.fakes.fake_pose_estimator import FakePoseEstimator, upright_pose


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


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


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cache(clock):
    return ContentCache(ttl_s=300.0, max_bytes=1 << 20, clock=clock)


@pytest.fixture
def photo():
    return np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)


async def several_turns():
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_value_is_computed_once_and_found_again(cache):
    work = Work()
    assert await cache.get("depth", b"k", work) == "value"
    assert await cache.get("depth", b"k", work) == "value"
    assert work.started == 1
    assert cache.counts == {"depth": CacheCounts(hits=1, misses=1)}


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


async def test_expired_values_give_their_bytes_back(cache, clock):
    await cache.get("depth", b"old", Work(np.zeros(1000, np.uint8)))
    clock.now += 300.0
    await cache.get("depth", b"new", Work(np.zeros(10, np.uint8)))
    assert cache.size_bytes == 10 + VALUE_OVERHEAD_BYTES


async def test_the_least_recently_used_value_makes_room(clock):
    entry = 1000 + VALUE_OVERHEAD_BYTES
    cache = ContentCache(ttl_s=300.0, max_bytes=2 * entry, clock=clock)
    works = {key: Work(np.zeros(1000, np.uint8)) for key in (b"a", b"b", b"c")}
    for key in (b"a", b"b", b"a", b"c", b"a", b"b"):
        await cache.get("depth", key, works[key])
    assert {key: work.started for key, work in works.items()} == {b"a": 1, b"b": 2, b"c": 1}
    assert cache.size_bytes == 2 * entry


async def test_a_value_above_the_limit_is_handed_out_but_not_kept(clock):
    cache = ContentCache(ttl_s=300.0, max_bytes=2000, clock=clock)
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
        cache = ContentCache(ttl_s=300.0, max_bytes=4000, clock=clock)
        for key, size, later in steps:
            await cache.get("depth", bytes([key]), Work(np.zeros(size, np.uint8)))
            clock.now += later
            assert 0 <= cache.size_bytes <= 4000
        clock.now += 300.0
        await cache.get("depth", b"last", Work(np.zeros(1, np.uint8)))
        assert cache.size_bytes == 1 + VALUE_OVERHEAD_BYTES

    asyncio.run(run())


async def test_requests_at_the_same_time_compute_once(cache):
    work = Work()
    work.gate.clear()
    waiting = [asyncio.create_task(cache.get("depth", b"k", work)) for _ in range(8)]
    await work.begun.wait()
    await several_turns()
    work.gate.set()
    assert await asyncio.gather(*waiting) == ["value"] * 8
    assert work.started == 1
    assert cache.counts["depth"] == CacheCounts(hits=7, misses=1)


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


def test_freezing_keeps_values_shapes_and_types():
    pose = upright_pose(Box(x0=0, y0=0, x1=100, y1=200))
    frozen = freeze((pose, {"a": np.zeros((2, 0), np.float32)}, [1, "x"]))
    assert np.array_equal(frozen[0].body, pose.body)
    assert frozen[0].body.dtype == np.float32
    assert not frozen[0].body.flags.writeable
    assert frozen[0].face.shape == (0, 3)
    assert frozen[1]["a"].shape == (2, 0)
    assert frozen[2] == (1, "x")
    with pytest.raises(TypeError):
        frozen[1]["b"] = 1


def test_the_size_counts_arrays_wherever_they_are():
    array = np.zeros((10, 10), np.float32)
    assert size_bytes(array) == 400 + VALUE_OVERHEAD_BYTES
    assert size_bytes(freeze((array, array))) == 800 + 3 * VALUE_OVERHEAD_BYTES
    assert size_bytes(freeze({"a": array})) == 400 + 2 * VALUE_OVERHEAD_BYTES
    assert size_bytes(upright_pose(Box(x0=0, y0=0, x1=1, y1=1))) == 18 * 3 * 4 + 6 * VALUE_OVERHEAD_BYTES


async def test_what_the_cache_did_is_told_per_request(cache):
    with recorded_outcomes() as first:
        await asyncio.gather(cache.get("depth", b"d", Work()), cache.get("pose", b"p", Work()))
    with recorded_outcomes() as second:
        await asyncio.gather(cache.get("depth", b"d", Work()), cache.get("pose", b"q", Work()))
        await cache.get("pose", b"q", Work())
    assert first == {"depth": "miss", "pose": "miss"}
    assert second == {"depth": "hit", "pose": "miss"}


async def test_parts_that_read_alike_have_keys_of_their_own():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    keys = [
        await content_key("pose", image),
        await content_key("depth", image),
        await content_key("pose", image.reshape(4, 2, 3)),
        await content_key("pose", image[..., 0]),
        await content_key("pose", image.astype(np.uint16)),
        await content_key("pose", image + np.uint8(1)),
        await content_key("po", "se", image),
        await content_key("pose", image, ""),
        await content_key("pose", image, "a", "bc"),
        await content_key("pose", image, "ab", "c"),
        await content_key("pose", image, ()),
        await content_key("pose", image, "()"),
        await content_key("pose", image, (detection("car", 0, 0, 5, 5),)),
        await content_key("pose", image, (detection("car", 0, 0, 5, 6),)),
    ]
    assert len(set(keys)) == len(keys)


async def test_a_view_has_the_key_of_its_copy():
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    view = image[::2, ::-1]
    assert await content_key("depth", view) == await content_key("depth", view.copy())


async def test_a_large_picture_has_the_key_that_its_content_says():
    image = np.zeros((700, 700, 3), np.uint8)
    same = await content_key("depth", image) == await content_key("depth", image.copy())
    image[-1, -1, -1] = 1
    assert same
    assert await content_key("depth", image) != await content_key("depth", np.zeros((700, 700, 3), np.uint8))


async def test_the_same_phrase_in_the_same_picture_is_looked_for_once(cache, photo):
    inner = FakeDetector({"*": (detection("mug", 1, 2, 3, 4),)})
    port = CachedDetector(inner, cache)
    first = await port.detect(photo, "mug")
    again = await port.detect(photo.copy(), "mug")
    await port.detect(photo, "cup")
    await port.detect(255 - photo, "mug")
    assert first == again == (detection("mug", 1, 2, 3, 4),)
    assert inner.phrases == ["mug", "cup", "mug"]


async def test_other_models_do_not_share_what_these_found(cache, photo):
    inner = FakeDetector({"*": ()})
    await CachedDetector(inner, cache, variant="tiny 0.3").detect(photo, "mug")
    await CachedDetector(inner, cache, variant="tiny 0.5").detect(photo, "mug")
    assert inner.phrases == ["mug", "mug"]


async def test_a_pose_is_estimated_once_per_picture_and_people(cache, photo):
    inner = FakePoseEstimator()
    port = CachedPoseEstimator(inner, cache)
    anna, ben = detection("person", 0, 0, 10, 20), detection("person", 10, 0, 20, 20)
    (first,) = await port.estimate_pose(photo, [anna])
    (again,) = await port.estimate_pose(photo, (anna,))
    await port.estimate_pose(photo, [anna, ben])
    assert inner.calls == 2
    assert again is first
    assert np.array_equal(first.body, upright_pose(anna.box).body)


class CountingModels:
    """A segmenter, depth estimator and analyzer whose answers name what they were asked."""

    def __init__(self):
        self.calls = []

    async def segment(self, image, detections):
        self.calls.append("segment")
        return tuple(np.full(image.shape[:2], index, np.uint8) for index, _ in enumerate(detections))

    async def estimate_depth(self, image):
        self.calls.append("depth")
        return image[..., 0]

    async def detect_objects(self, image):
        self.calls.append("objects")
        return (Detection(label="person", score=0.9, box=Box(x0=0, y0=0, x1=1, y1=1)),)

    async def classify_reference(self, image):
        self.calls.append("reference")
        return {ReferenceKind.GARMENT: 1.0}

    async def classify_prompt(self, prompt):
        self.calls.append("prompt")
        return len(prompt) / 100


async def test_every_other_port_answers_again_without_its_model(cache, photo):
    models = CountingModels()
    segmenter, depth = CachedSegmenter(models, cache), CachedDepthEstimator(models, cache)
    analyzer = CachedAnalyzer(models, cache)
    people = [detection("person", 0, 0, 10, 20), detection("person", 10, 0, 20, 20)]

    async def ask():
        return (
            [mask.tolist() for mask in await segmenter.segment(photo, people)],
            (await depth.estimate_depth(photo)).tolist(),
            await analyzer.detect_objects(photo),
            await analyzer.classify_reference(photo),
            await analyzer.classify_prompt("blue car"),
        )

    first, again = await ask(), await ask()
    assert first == again
    assert first[1] == photo[..., 0].tolist()
    assert first[3:] == ({ReferenceKind.GARMENT: 1.0}, 0.08)
    assert models.calls == ["segment", "depth", "objects", "reference", "prompt"]
    assert cache.counts == {
        name: CacheCounts(hits=1, misses=1) for name in ("masks", "depth", "objects", "reference", "prompt")
    }
