from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from composition.caching.content_cache import CacheCounts, ContentCache


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def cache(max_bytes=100, ttl_s=10.0, clock=None):
    return ContentCache(max_bytes=max_bytes, ttl_s=ttl_s, size_of=len, clock=clock or Clock())


def test_a_second_look_finds_what_the_first_computed():
    store, computed = cache(), []
    look = lambda: store.get(b"a", lambda: computed.append(1) or b"value")  # noqa: E731
    assert look() == (b"value", False)
    assert look() == (b"value", True)
    assert len(computed) == 1
    counts = store.counts()
    assert (counts.hits, counts.misses, counts.entries, counts.bytes) == (1, 1, 1, 5)


def test_an_entry_goes_when_its_time_is_over():
    clock = Clock()
    store = cache(clock=clock)
    store.get(b"a", lambda: b"12345")
    clock.now = 10.0
    assert store.counts().entries == 0
    assert store.get(b"a", lambda: b"new") == (b"new", False)


def test_the_least_recently_used_goes_first():
    store = cache(max_bytes=10)
    for key in (b"a", b"b"):
        store.get(key, lambda: b"12345")
    store.get(b"a", lambda: b"")
    store.get(b"c", lambda: b"12345")
    assert store.get(b"a", lambda: b"x")[1]
    assert not store.get(b"b", lambda: b"12345")[1]


def test_what_is_larger_than_the_cache_is_not_kept():
    store = cache(max_bytes=4)
    assert store.get(b"a", lambda: b"12345") == (b"12345", False)
    assert store.counts().entries == 0


def test_clearing_forgets_everything():
    store = cache()
    store.get(b"a", lambda: b"12345")
    store.clear()
    assert store.counts().bytes == 0


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"f"]), st.integers(0, 12)), max_size=40))
def test_the_byte_limit_holds_and_the_count_is_right(looks):
    store, sizes = cache(max_bytes=20), {}
    for key, size in looks:
        value, _ = store.get(key, lambda size=size: b"x" * size)
        sizes[key] = len(value)
        counts = store.counts()
        assert counts.bytes <= 20
    held = {key for key in sizes if store.get(key, lambda: b"")[1]}
    assert sum(sizes[key] for key in held) <= 20


def test_looks_are_counted():
    store = cache()
    for key in (b"a", b"a", b"b"):
        store.get(key, lambda: b"12345")
    assert (store.counts().hits, store.counts().misses) == (1, 2)


def test_a_cache_of_no_bytes_keeps_nothing_and_still_counts():
    store = cache(max_bytes=0)
    assert [store.get(b"a", lambda: b"1")[1] for _ in range(2)] == [False, False]
    assert store.counts() == CacheCounts(hits=0, misses=2, entries=0, bytes=0)


def test_threads_that_share_a_cache_see_whole_values_within_the_limit():
    store = ContentCache(max_bytes=64, ttl_s=1e9, size_of=len)

    def look(seed: int) -> int:
        rng = random.Random(seed)
        wrong = 0
        for _ in range(2000):
            number = rng.randrange(16)
            value, _ = store.get(bytes([number]), lambda number=number: bytes([number]) * (number + 1))
            wrong += value != bytes([number]) * (number + 1)
        return wrong

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(look, range(4))) == [0] * 4
    counts = store.counts()
    assert counts.hits + counts.misses == 8000
    assert 0 < counts.bytes <= 64
