from __future__ import annotations

import numpy as np
import pytest

from composition.caching.cached_ports import (
    CachedAnalyzer,
    CachedDepthEstimator,
    CachedDetector,
    CachedPoseEstimator,
    CachedSegmenter,
)
from composition.decision import ReferenceKind
from composition.images import Box, Detection, Outlines
from tests.fakes.fake_detector import FakeDetector, detection
from tests.fakes.fake_pose_estimator import FakePoseEstimator, upright_pose


@pytest.fixture
def photo():
    return np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)


async def test_the_same_phrase_in_the_same_image_is_looked_for_once(cache, photo):
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


async def test_a_pose_is_estimated_once_per_image_and_people(cache, photo):
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
        masks = tuple(np.full(image.shape[:2], index, np.uint8) for index, _ in enumerate(detections))
        return Outlines(masks=masks, drawn_by="sam")

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


async def test_every_other_port_answers_again_without_its_model(cache, values, photo):
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
    assert (values.counts().hits, values.counts().misses) == (5, 5)
