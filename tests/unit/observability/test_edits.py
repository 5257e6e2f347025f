"""Series and spans of edits, from the editor itself."""

from __future__ import annotations

import pytest

from composition.config import Config
from composition.editor import Editor
from composition.errors import NoDetection
from composition.pipelines.context import Models
from composition.request import EditOptions, EditRequest, OnNoDetection
from observability.edits import EditMetrics
from observability.tracing import continued, span
from prompt_reading.reader import GrammarPromptReader
from tests.fakes.fake_analyzer import FakeAnalyzer
from tests.fakes.fake_depth_estimator import FakeDepthEstimator
from tests.fakes.fake_detector import FakeDetector, detection
from tests.fakes.fake_diffuser import FakeDiffuser
from tests.fakes.fake_pose_estimator import FakePoseEstimator
from tests.fakes.fake_segmenter import FakeSegmenter
from tests.unit.api.images import gradient

MUG = detection("mug", 120, 80, 220, 200)


@pytest.fixture
def metrics(registry) -> EditMetrics:
    return EditMetrics(registry)


def edit(metrics: EditMetrics, prompt: str, *, found=(MUG,), **options):
    models = Models(
        analyzer=FakeAnalyzer(),
        detector=FakeDetector({"*": list(found)}),
        segmenter=FakeSegmenter(),
        pose=FakePoseEstimator(),
        depth=FakeDepthEstimator(),
        diffuser=FakeDiffuser(),
        latent_cell_px=8,
    )
    editor = Editor(config=Config(), models=models, native_size=512, reader=GrammarPromptReader(), observer=metrics)
    request = EditRequest(base=gradient(400, 300), prompt=prompt, options=EditOptions(seed=7, **options))
    return editor.edit(request, request_id="r", listener=lambda progress: None)


async def test_every_stage_is_timed_and_the_decision_counted(metrics, registry):
    await edit(metrics, "replace the mug with a teapot")
    await edit(metrics, "car with these sport rims")
    for stage in ("route", "analyze", "detect", "mask", "condition", "diffuse", "blend"):
        assert registry.get_sample_value("composition_stage_duration_seconds_count", {"stage": stage}) == 2, stage
    assert registry.get_sample_value("composition_stage_duration_seconds_count", {"stage": "depth"}) == 1
    for rule, pipeline in (("default", "simple"), ("structural_object", "complex")):
        labels = {"rule": rule, "pipeline": pipeline}
        assert registry.get_sample_value("composition_router_decisions_total", labels) == 1


async def test_a_stage_that_fails_is_timed_too(metrics, registry):
    with pytest.raises(NoDetection):
        await edit(metrics, "replace the mug with a teapot", found=(), on_no_detection=OnNoDetection.ERROR)
    assert registry.get_sample_value("composition_stage_duration_seconds_count", {"stage": "mask"}) == 1
    assert registry.get_sample_value("composition_stage_duration_seconds_count", {"stage": "diffuse"}) is None


async def test_stages_are_spans_within_the_attempt_and_parts_within_stages(metrics, spans):
    with continued("", "attempt"):
        await edit(metrics, "car with these sport rims")
    by_name = {one.name: one for one in spans.get_finished_spans()}
    attempt = by_name["attempt"].context.span_id
    for stage in ("route", "detect", "mask", "condition", "diffuse", "blend"):
        assert by_name[stage].parent.span_id == attempt, stage
    assert by_name["analyze"].parent.span_id == by_name["route"].context.span_id
    assert all("rims" not in one.to_json() for one in by_name.values())


def test_without_a_trace_there_are_no_spans(spans):
    with span("route"):
        pass
    assert spans.get_finished_spans() == ()
