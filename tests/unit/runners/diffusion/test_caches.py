from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runners.diffusion.caches import ExpiringCache, content_key


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def cache(max_bytes=100, ttl_s=10.0, clock=None):
    return ExpiringCache(max_bytes=max_bytes, ttl_s=ttl_s, size_of=len, clock=clock or Clock())


def test_a_second_look_finds_what_the_first_computed():
    store, computed = cache(), []
    look = lambda: store.get("a", lambda: computed.append(1) or b"value")  # noqa: E731
    assert look() == (b"value", False)
    assert look() == (b"value", True)
    assert len(computed) == 1
    counts = store.counts()
    assert (counts.hits, counts.misses, counts.entries, counts.bytes) == (1, 1, 1, 5)


def test_an_entry_goes_when_its_time_is_over():
    clock = Clock()
    store = cache(clock=clock)
    store.get("a", lambda: b"12345")
    clock.now = 10.0
    assert store.counts().entries == 0
    assert store.get("a", lambda: b"new") == (b"new", False)


def test_the_least_recently_used_goes_first():
    store = cache(max_bytes=10)
    for key in "ab":
        store.get(key, lambda: b"12345")
    store.get("a", lambda: b"")
    store.get("c", lambda: b"12345")
    assert store.get("a", lambda: b"x")[1]
    assert not store.get("b", lambda: b"12345")[1]


def test_what_is_larger_than_the_cache_is_not_kept():
    store = cache(max_bytes=4)
    assert store.get("a", lambda: b"12345") == (b"12345", False)
    assert store.counts().entries == 0


def test_clearing_forgets_everything():
    store = cache()
    store.get("a", lambda: b"12345")
    store.clear()
    assert store.counts().bytes == 0


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 12)), max_size=40))
def test_the_byte_limit_holds_and_the_count_is_right(looks):
    store, sizes = cache(max_bytes=20), {}
    for key, size in looks:
        value, _ = store.get(key, lambda size=size: b"x" * size)
        sizes[key] = len(value)
        counts = store.counts()
        assert counts.bytes <= 20
    held = {key for key in sizes if store.get(key, lambda: b"")[1]}
    assert sum(sizes[key] for key in held) <= 20


def test_a_value_depends_on_every_byte_shape_and_border_of_its_parts():
    picture = np.zeros((2, 3), np.uint8)
    keys = {
        content_key("ab", "c"),
        content_key("a", "bc"),
        content_key("abc"),
        content_key(picture),
        content_key(picture.T),
        content_key(picture + 1),
        content_key(picture, b""),
    }
    assert len(keys) == 7
    assert content_key(picture) == content_key(np.asfortranarray(picture))
