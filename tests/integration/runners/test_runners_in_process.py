"""The batching runners as plain objects, as a worker or a mounted application uses them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from composition.decision import ReferenceKind
from composition.errors import InvalidInput
from composition.images import Box, Detection
from runners.remote import Answer

REPOSITORY = Path(__file__).parents[3]
NO_FRAMEWORK = """
import sys
import runners.analyzer.client, runners.detector.client, runners.structure.client
import runners.analyzer.service, runners.detector.service, runners.structure.service
print(sorted({"torch", "transformers", "onnxruntime", "controlnet_aux"} & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def analyzer(configured_models):
    from runners.analyzer.client import BentoAnalyzer
    from runners.analyzer.service import AnalyzerRunner

    return BentoAnalyzer(AnalyzerRunner())


@pytest.fixture(scope="module")
def detector(configured_models):
    from runners.detector.client import BentoDetector
    from runners.detector.service import DetectorRunner

    return BentoDetector(DetectorRunner())


@pytest.fixture(scope="module")
def structure(configured_models):
    from runners.structure.client import BentoStructure
    from runners.structure.service import StructureRunner

    return BentoStructure(StructureRunner())


def photo(seed=0, height=256, width=320):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def person(x0=40.0, x1=200.0):
    return Detection(label="person", score=0.9, box=Box(x0=x0, y0=30, x1=x1, y1=220))


def test_the_front_can_import_runners_and_clients_without_any_model_framework(bentoml_home):
    done = subprocess.run(
        [sys.executable, "-c", NO_FRAMEWORK], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )

    assert done.stdout.strip() == "[]", done.stderr


async def test_the_analyzer_answers_its_port(analyzer):
    objects = await analyzer.detect_objects(photo())
    kinds = await analyzer.classify_reference(photo())
    structural = await analyzer.classify_prompt("a blue car")

    assert isinstance(objects, tuple)
    assert set(kinds) == set(ReferenceKind)
    assert sum(kinds.values()) == pytest.approx(1, abs=1e-5)
    assert 0 <= structural <= 1
    assert await analyzer.knows(photo()), "of a profile whose models know all images nobody is asked"


async def test_whether_an_image_is_known_is_asked_of_models_for_one_kind_only(analyzer):
    from runners.analyzer.client import BentoAnalyzer
    from runners.analyzer.service import AnalyzerRunner

    class Stranger(AnalyzerRunner.inner):
        def __init__(self):
            self.asked = 0

        async def knows(self, items):
            self.asked += len(items)
            return [Answer(False) for _ in items]

    stranger = Stranger()
    assert await BentoAnalyzer(stranger).knows(photo())
    assert stranger.asked == 0
    assert not await BentoAnalyzer(stranger, of_one_kind=True).knows(photo())
    assert stranger.asked == 1


async def test_the_detector_answers_its_ports(detector):
    found = await detector.detect(photo(), "red car")
    masks = await detector.segment(photo(), [person(), person(x0=100)])

    assert all(item.label == "red car" for item in found)
    assert [mask.shape for mask in masks] == [(256, 320), (256, 320)]
    assert masks.drawn_by == "sam"
    assert len(await detector.segment(photo(), [])) == 0


async def test_the_structure_runner_answers_its_ports(structure):
    poses = await structure.estimate_pose(photo(), [person(), person(x0=100)])
    depth = await structure.estimate_depth(photo())

    assert [pose.body.shape for pose in poses] == [(18, 3), (18, 3)]
    assert (depth.shape, depth.dtype) == ((256, 320), np.uint8)


async def test_nobody_in_the_image_is_no_pose_and_no_call(structure):
    before = (await structure.state())["batches"].get("estimate_pose")

    assert await structure.estimate_pose(photo(), []) == ()
    assert (await structure.state())["batches"].get("estimate_pose") == before


async def test_a_bad_question_raises_what_it_raises_remotely(detector, structure):
    with pytest.raises(InvalidInput):
        await detector.detect(photo(), " ? ")
    with pytest.raises(InvalidInput):
        await detector.segment(photo(), [person(x0=200, x1=200)])
    with pytest.raises(InvalidInput):
        await structure.estimate_pose(photo(), [person(x0=220, x1=200)])


async def test_concurrent_calls_of_all_kinds_are_taken_in_turn_and_all_answered(detector):
    seeds = range(6)
    alone = [await detector.detect(photo(seed), "red car") for seed in seeds]

    together = await asyncio.gather(
        *[detector.detect(photo(seed), "red car") for seed in seeds],
        *[detector.segment(photo(seed), [person()]) for seed in seeds],
    )

    assert list(together[: len(seeds)]) == alone
    assert all(mask.shape == (256, 320) for (mask,) in together[len(seeds) :])


async def test_sams_embedding_of_a_image_is_kept_between_calls(detector):
    before = (await detector.state())["embeddings"]
    for x0 in (10.0, 20.0, 30.0):
        await detector.segment(photo(99), [person(x0=x0)])
    after = (await detector.state())["embeddings"]

    assert after["misses"] - before["misses"] == 1
    assert after["hits"] - before["hits"] == 2


async def test_one_process_answers_for_all_three_what_they_answer_alone(analyzer, detector, structure):
    from runners.analyzer.client import BentoAnalyzer
    from runners.detector.client import BentoDetector
    from runners.perception_service import PerceptionRunner
    from runners.structure.client import BentoStructure

    together = PerceptionRunner()
    assert await BentoAnalyzer(together).detect_objects(photo()) == await analyzer.detect_objects(photo())
    assert await BentoAnalyzer(together).classify_prompt("a blue car") == await analyzer.classify_prompt("a blue car")
    assert await BentoDetector(together).detect(photo(), "red car") == await detector.detect(photo(), "red car")
    ours, theirs = [await one.estimate_depth(photo()) for one in (BentoStructure(together), structure)]
    assert np.array_equal(ours, theirs)
    state = await BentoDetector(together).state()
    assert state["models_loaded"] == ["yolox", "clip", "grounding-dino", "sam", "dwpose", "depth-anything"]
    assert state["batches"]["detect"]["items"] == 1
