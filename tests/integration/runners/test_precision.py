"""Half precision, as on a GPU: the same loading code, answers that stay close to float32's."""

import numpy as np
import pytest
import torch

from composition.images import Box
from composition.marks import Mark
from runners.analyzer.clip import ClipClassifier
from runners.detector.queries import SegmentQuery
from runners.detector.sam import SamSegmenter
from runners.device import perception_dtype
from runners.structure.depth_anything import DepthAnything

CPU = torch.device("cpu")
HALF, FULL = torch.float16, torch.float32


@pytest.fixture(scope="module")
def photo():
    blocks = np.random.default_rng(0).integers(0, 256, (8, 10, 3))
    return np.kron(blocks, np.ones((40, 40, 1))).astype(np.uint8)


@pytest.mark.parametrize(
    ("configured", "runs"),
    [("float32", torch.float32), ("float16", torch.float16), ("bfloat16", torch.float32)],
)
def test_a_model_that_looks_at_a_image_never_runs_in_bfloat16(configured, runs):
    assert perception_dtype(configured, CPU) == runs


def test_silhouettes_in_half_precision_are_the_same_but_for_a_few_pixels(tiny_models, photo):
    query = SegmentQuery(image=photo, marks=(Mark(box=Box(x0=10, y0=10, x1=200, y1=300)),))
    ((half,),), ((full,),) = (
        SamSegmenter.load(tiny_models.path("sam"), CPU, dtype, cache_bytes=0, cache_ttl_s=1).segment([query])
        for dtype in (HALF, FULL)
    )

    assert full.any()
    assert np.mean(half != full) < 0.005


def test_depth_in_half_precision_is_within_a_few_levels(tiny_models, photo):
    (half,), (full,) = (
        DepthAnything.load(tiny_models.path("depth-anything"), CPU, dtype).estimate([photo]) for dtype in (HALF, FULL)
    )

    assert np.abs(half.astype(int) - full.astype(int)).max() <= 6


def test_probabilities_in_half_precision_are_within_a_hundredth(tiny_models, photo):
    half, full = (ClipClassifier.load(tiny_models.path("clip"), CPU, dtype) for dtype in (HALF, FULL))

    (rounded,), (exact,) = half.classify_references([photo]), full.classify_references([photo])
    assert list(rounded.values()) == pytest.approx(list(exact.values()), abs=0.01)
    assert half.classify_prompts(["a car"]) == pytest.approx(full.classify_prompts(["a car"]), abs=0.01)
