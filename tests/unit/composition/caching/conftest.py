"""A clock, a cache for the front and its counts."""

from __future__ import annotations

import pytest

from composition.caching.content_cache import ContentCache
from composition.caching.frozen import size_bytes
from composition.caching.single_flight import SingleFlight


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make_values(clock):
    return lambda max_bytes=1 << 20: ContentCache(ttl_s=300.0, max_bytes=max_bytes, size_of=size_bytes, clock=clock)


@pytest.fixture
def values(make_values):
    """What `cache` keeps."""
    return make_values()


@pytest.fixture
def cache(values):
    return SingleFlight(values)
