"""A control that was asked for acts, is refused, or is named in a warning; the metadata lists those that act."""

from __future__ import annotations

import numpy as np
import pytest

from composition.errors import InvalidInput
from composition.pipelines.effects import CONTROLS_OFF, NO_CONTROLNET
from composition.request import EditOptions, EditRequest, PipelineChoice
from tests.fakes.fake_analyzer import FakeAnalyzer
from tests.fakes.fake_depth_estimator import FakeDepthEstimator
from tests.fakes.fake_detector import FakeDetector, detection

MUG = detection("mug", 120, 80, 220, 200)
PERSON = detection("person", 100, 10, 300, 290)
JACKET = detection("jacket", 130, 10, 270, 170)


def request(photo, prompt="replace the mug with a teapot", **options):
    return EditRequest(base=photo, prompt=prompt, options=EditOptions(seed=7, **options))


def seeing(bench, *objects, **fakes):
    return bench(analyzer=FakeAnalyzer(objects=objects), detector=FakeDetector({"*": [MUG]}), **fakes)


async def test_at_scale_zero_no_control_is_estimated_sent_or_listed(bench, photo):
    b = seeing(bench)
    result = await b.edit(request(photo, control_types=("depth",), controlnet_conditioning_scale=0.0))
    assert b.diffuser.requests[0].controls == {}
    assert b.depth.calls == 0
    assert result.metadata["routing"]["controls"] == {}
    assert not any(name.startswith("controlnet") for name in result.models_used)


@pytest.mark.parametrize("asked", [{"control_types": ("depth",)}, {"force_controlnet": True}], ids=str)
async def test_scale_zero_with_a_control_asked_for_is_a_warning(bench, photo, asked):
    result = await seeing(bench).edit(request(photo, controlnet_conditioning_scale=0.0, **asked))
    assert CONTROLS_OFF in result.metadata["warnings"]


async def test_scale_zero_alone_does_what_it_says(bench, photo):
    result = await seeing(bench).edit(request(photo, "replace the car", controlnet_conditioning_scale=0.0))
    assert result.metadata["warnings"] == []


async def test_a_scale_for_an_edit_without_controlnets_is_a_warning(bench, photo):
    b = seeing(bench)
    simple = request(photo, pipeline=PipelineChoice.SIMPLE, controlnet_conditioning_scale=0.7)
    assert NO_CONTROLNET in (await b.edit(simple)).metadata["warnings"]
    assert NO_CONTROLNET in (await b.editor.analyze(simple, request_id="test")).metadata["warnings"]


async def test_a_scale_that_acts_or_is_not_given_is_no_warning(bench, photo):
    b = seeing(bench)
    acts = await b.edit(request(photo, control_types=("depth",), controlnet_conditioning_scale=0.7))
    not_given = await b.edit(request(photo, pipeline=PipelineChoice.SIMPLE))
    assert acts.metadata["warnings"] == not_given.metadata["warnings"] == []
    assert acts.metadata["routing"]["controls"] == {"depth": 0.8}


async def test_a_pose_control_at_scale_zero_still_keeps_the_face_out_of_the_mask(bench, photo):
    wear = {"prompt": "person wearing this designer jacket"}
    analyzer, detector = FakeAnalyzer(objects=[PERSON]), FakeDetector({"*": [JACKET]})
    on = await bench(analyzer=analyzer, detector=detector).edit(request(photo, **wear))
    off = await bench(analyzer=analyzer, detector=detector).edit(
        request(photo, **wear, controlnet_conditioning_scale=0.0)
    )
    assert (on.mask == off.mask).all()
    assert off.metadata["routing"]["controls"] == {}


async def test_a_pose_control_with_nobody_there_runs_on_an_empty_skeleton_with_a_warning(bench, photo):
    b = seeing(bench)
    result = await b.edit(request(photo, control_types=("pose",)))
    assert not b.diffuser.requests[0].controls["pose"].image.any()
    assert result.metadata["routing"]["controls"] == {"pose": 1.0}
    assert any("no person was found" in warning for warning in result.metadata["warnings"])


@pytest.mark.parametrize(
    "options", [{"control_types": ("pose", "depth")}, {"force_controlnet": True}], ids=["asked for", "chosen"]
)
async def test_a_control_without_a_controlnet_is_refused_before_anything_is_detected(bench, photo, options):
    b = seeing(bench, absent_controls={"depth": "run: import it"})
    for act in (b.edit, lambda asked: b.editor.analyze(asked, request_id="test")):
        with pytest.raises(InvalidInput, match="control type depth is not available: run: import it") as caught:
            await act(request(photo, **options))
        assert caught.value.status == 400
    assert (b.detector.phrases, b.depth.calls, b.diffuser.requests) == ([], 0, [])


async def test_a_control_that_is_not_wanted_may_be_absent(bench, photo):
    b = seeing(bench, absent_controls={"depth": "run: import it"})
    assert set((await b.edit(request(photo, control_types=("pose",)))).metadata["routing"]["controls"]) == {"pose"}


async def test_the_depth_of_the_scene_without_it_does_not_hold_what_is_added(bench, photo):
    b = seeing(bench)
    result = await b.edit(request(photo, "add a red car"))
    assert (result.pipeline, result.metadata["routing"]["rule"]) == ("complex", "structural_object")
    assert b.diffuser.requests[0].controls == {}
    assert b.depth.calls == 0
    assert result.metadata["routing"]["controls"] == {}


@pytest.mark.parametrize(
    "asked",
    [{"control_types": ("depth",)}, {"force_controlnet": True}, {"pipeline": PipelineChoice.COMPLEX}],
    ids=str,
)
async def test_structure_control_that_the_user_asks_for_holds_what_is_added(bench, photo, asked):
    b = seeing(bench)
    await b.edit(request(photo, "add a red car", **asked))
    assert set(b.diffuser.requests[0].controls) == {"depth"}


async def test_a_scale_for_what_is_added_without_a_control_is_named(bench, photo):
    result = await seeing(bench).edit(request(photo, "add a red car", controlnet_conditioning_scale=0.7))
    assert NO_CONTROLNET in result.metadata["warnings"]


async def test_the_control_of_a_removal_does_not_show_what_is_removed(bench, photo):
    depth = np.full(photo.shape[:2], 30, np.uint8)
    depth[80:200, 120:220] = 250
    fakes = {"depth": FakeDepthEstimator(depth)}
    removed, replaced = seeing(bench, **fakes), seeing(bench, **fakes)
    await removed.edit(request(photo, "remove the mug", force_controlnet=True))
    await replaced.edit(request(photo, "replace the mug with a teapot", force_controlnet=True))
    (sent,), (as_it_is,) = removed.diffuser.requests, replaced.diffuser.requests
    hole = sent.mask > 0
    filled, shown = sent.controls["depth"].image, as_it_is.controls["depth"].image
    assert shown[hole].max() == 250
    assert filled[hole].max() < 60
    assert (filled[~hole] == shown[~hole]).all()


async def test_an_insertion_needs_no_controlnet(bench, photo):
    b = seeing(bench, absent_controls={"depth": "run: import it"})
    await b.edit(request(photo, "add a red car"))
    assert len(b.diffuser.requests) == 1
