"""The complex pipeline: detection, pose and depth side by side, each only where a control needs it."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from composition.errors import NoDetection
from composition.request import EditOptions, EditRequest, Keep, OnNoDetection
from tests.fakes.fake_analyzer import FakeAnalyzer
from tests.fakes.fake_depth_estimator import FakeDepthEstimator
from tests.fakes.fake_detector import FakeDetector, detection
from tests.fakes.fake_pose_estimator import FakePoseEstimator

MUG = detection("mug", 120, 80, 220, 200)
PERSON, OTHER = detection("person", 100, 10, 300, 290), detection("person", 310, 50, 390, 290)


def request(photo, prompt="replace the mug with a teapot", **options):
    return EditRequest(base=photo, prompt=prompt, options=EditOptions(seed=7, num_inference_steps=2, **options))


def bench_with(bench, *objects, **fakes):
    return bench(analyzer=FakeAnalyzer(objects=objects), **{"detector": FakeDetector({"*": [MUG]}), **fakes})


class HeldDepthEstimator(FakeDepthEstimator):
    """Waits for `gate`; says that it waits, and that it was cancelled."""

    def __init__(self):
        super().__init__()
        self.gate, self.waiting, self.cancelled = asyncio.Event(), asyncio.Event(), False

    async def estimate_depth(self, image):
        self.waiting.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return await super().estimate_depth(image)


class DetectorAfter(FakeDetector):
    """Answers when another model waits already: it comes to an answer only if the two run side by side."""

    def __init__(self, event, then=None, found=None):
        super().__init__(found)
        self.event, self.then = event, then

    async def detect(self, image, phrase):
        await self.event.wait()
        if self.then is not None:
            self.then.set()
        return await super().detect(image, phrase)


@pytest.mark.parametrize(
    ("controls", "calls", "timed"),
    [
        (("pose",), (1, 0), {"pose"}),
        (("depth",), (0, 1), {"depth"}),
        (("pose", "depth"), (1, 1), {"pose", "depth"}),
    ],
)
async def test_only_what_the_controls_need_is_estimated(bench, photo, controls, calls, timed):
    b = bench_with(bench, PERSON)
    result = await b.edit(request(photo, control_types=controls, occlusion=Keep.OFF))
    assert (b.pose.calls, b.depth.calls) == calls
    assert {"pose", "depth"} & set(result.metadata["timings_ms"]) == timed
    assert {"dwpose", "depth-anything"} & set(result.models_used) == {
        {"pose": "dwpose", "depth": "depth-anything"}[name] for name in controls
    }


async def test_everybody_has_a_pose_not_only_the_one_who_is_edited(bench, photo):
    class Recording(FakePoseEstimator):
        async def estimate_pose(self, image, people):
            self.people = people
            return await super().estimate_pose(image, people)

    b = bench_with(bench, OTHER, MUG, PERSON, pose=Recording())
    await b.edit(request(photo, control_types=("pose",)))
    assert tuple(b.pose.people) == (OTHER, PERSON)


async def test_pose_control_without_anybody_costs_no_model_call_and_is_told(bench, photo):
    b = bench_with(bench)
    result = await b.edit(request(photo, control_types=("pose",)))
    assert b.pose.calls == 0
    assert "no person was found: the pose control is empty" in result.metadata["warnings"]
    assert not b.diffuser.requests[0].controls["pose"].image.any()


async def test_detection_and_depth_run_side_by_side(bench, photo):
    depth = HeldDepthEstimator()
    b = bench_with(bench, depth=depth, detector=DetectorAfter(depth.waiting, depth.gate, {"*": [MUG]}))
    result = await asyncio.wait_for(b.edit(request(photo, control_types=("depth",))), timeout=10)
    assert result.mask[140, 170] == 255


async def test_when_nothing_is_found_the_depth_estimation_is_stopped(bench, photo):
    depth = HeldDepthEstimator()
    b = bench_with(bench, depth=depth, detector=DetectorAfter(depth.waiting))
    with pytest.raises(NoDetection):
        await asyncio.wait_for(
            b.edit(request(photo, control_types=("depth",), on_no_detection=OnNoDetection.ERROR)), timeout=10
        )
    assert depth.cancelled
    assert b.diffuser.requests == []


async def test_an_analysis_takes_poses_into_account_and_no_depth(bench, photo):
    b = bench_with(bench, PERSON, detector=FakeDetector())
    analysis = await b.editor.analyze(
        request(photo, "person wearing this jacket", control_types=("pose", "depth")), request_id="dry"
    )
    assert (b.pose.calls, b.depth.calls, b.diffuser.requests) == (1, 0, [])
    assert analysis.mask[110, 200] == 255
    assert analysis.mask[38, 200] == 0
    assert np.count_nonzero(analysis.mask) < analysis.mask.size / 2
    assert {"detect", "pose", "mask"} <= set(analysis.metadata["timings_ms"])
