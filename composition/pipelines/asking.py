"""Models behind a cache: what was asked before is answered from it, and what is asked at the same time, once."""

from __future__ import annotations

import math
from dataclasses import replace

from composition.caching.cached_ports import (
    CachedAnalyzer,
    CachedDepthEstimator,
    CachedDetector,
    CachedPoseEstimator,
    CachedSegmenter,
)
from composition.caching.content_cache import ContentCache
from composition.caching.frozen import size_bytes
from composition.caching.single_flight import SingleFlight
from composition.pipelines.context import Models

_UNBOUNDED = 2**62


def cached(models: Models, cache: SingleFlight) -> Models:
    """Those that look at an image, behind a cache."""
    return replace(
        models,
        analyzer=CachedAnalyzer(models.analyzer, cache),
        detector=CachedDetector(models.detector, cache),
        segmenter=CachedSegmenter(models.segmenter, cache),
        pose=CachedPoseEstimator(models.pose, cache),
        depth=CachedDepthEstimator(models.depth, cache),
    )


def asked_once(models: Models) -> Models:
    """For one request of several edits: what two of them ask alike is computed once, whether or not anything is cached.

    Its edits have one photograph, and its memory ends with it.
    """
    if isinstance(models.detector, CachedDetector):
        return models
    return cached(models, SingleFlight(ContentCache(ttl_s=math.inf, max_bytes=_UNBOUNDED, size_of=size_bytes)))
