"""A photograph, known-answer models, and an editor over them."""

from __future__ import annotations

import numpy as np
import pytest

from composition.config import Config
from composition.editor import Editor
from composition.pipelines.context import Models
from prompt_reading.reader import GrammarPromptReader
from tests.fakes.fake_analyzer import FakeAnalyzer
from tests.fakes.fake_depth_estimator import FakeDepthEstimator
from tests.fakes.fake_detector import FakeDetector
from tests.fakes.fake_diffuser import FakeDiffuser
from tests.fakes.fake_pose_estimator import FakePoseEstimator
from tests.fakes.fake_segmenter import FakeSegmenter


@pytest.fixture
def photo():
    """A noisy image, 300 high and 400 wide, so that any changed pixel shows."""
    return np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)


class Bench:
    """An editor with its fakes at hand: `bench.diffuser.requests` is what the diffusion model was asked."""

    def __init__(self, config=None, **fakes):
        self.config = config or Config()
        self.analyzer = fakes.get("analyzer") or FakeAnalyzer()
        self.detector = fakes.get("detector") or FakeDetector()
        self.segmenter = fakes.get("segmenter") or FakeSegmenter()
        self.pose = fakes.get("pose") or FakePoseEstimator()
        self.depth = fakes.get("depth") or FakeDepthEstimator()
        self.diffuser = fakes.get("diffuser") or FakeDiffuser()
        self.progress = []
        self.models = Models(
            analyzer=self.analyzer,
            detector=self.detector,
            segmenter=self.segmenter,
            pose=self.pose,
            depth=self.depth,
            diffuser=self.diffuser,
            latent_cell_px=fakes.get("latent_cell_px", 8),
            absent_controls=fakes.get("absent_controls", {}),
            absent_speeds=fakes.get("absent_speeds", {}),
            checkpoints=frozenset(fakes.get("checkpoints", ())),
            no_points=fakes.get("no_points"),
        )
        reader = fakes.get("reader") or GrammarPromptReader()
        self.editor = Editor(config=self.config, models=self.models, native_size=256, reader=reader)

    async def edit(self, request):
        return await self.editor.edit(request, request_id="test", listener=self.progress.append)


@pytest.fixture
def bench():
    return Bench
