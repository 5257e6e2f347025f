"""What the runners' work becomes as series and spans."""

from __future__ import annotations

import numpy as np
import pytest

from composition.diffusion import DiffusionProgress, DiffusionRequest, DiffusionResult
from composition.errors import InvalidInput, OutOfMemory
from observability.models import BatchMetrics, DiffusionMetrics
from runners.batch_account import MeasuredBatches
from runners.batching import BatchDesk
from runners.diffusion.counting import MeasuredCounters
from runners.diffusion.phases import PhaseSpans
from runners.diffusion.transport.events import Accepted, Alive
from runners.remote import Parcel

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_counters_become_series_of_requests_rows_and_other_work(registry):
    counters = MeasuredCounters(DiffusionMetrics(registry))
    counters.add("requests_content_policy")
    counters.add("unet_rows", 6)
    counters.add("text_encodes", 2)
    counters.stepped(requests=3, rows=6, seconds=0.2)
    value = registry.get_sample_value
    assert value("composition_diffusion_requests_total", {"outcome": "content_policy"}) == 1
    assert value("composition_diffusion_forward_rows_sum") == 6
    assert value("composition_diffusion_work_total", {"work": "text_encodes"}) == 2
    assert value("composition_diffusion_step_requests_sum") == 3
    assert value("composition_diffusion_step_rows_bucket", {"le": "6.0"}) == 1
    assert value("composition_diffusion_step_rows_bucket", {"le": "4.0"}) == 0
    assert counters.snapshot() == {"requests_content_policy": 1, "unet_rows": 6, "text_encodes": 2}


def test_blocks_are_told_from_the_start(registry):
    DiffusionMetrics(registry)
    for network in ("unet", "controlnet", "vae"):
        told = {"network": network, "mode": "compiled"}
        assert registry.get_sample_value("composition_diffusion_blocks_total", told) == 0


def test_a_total_that_is_sampled_is_counted_once_and_never_falls(registry):
    metrics = DiffusionMetrics(registry)
    stats = {"requests": {"encoding": 2}, "forwards": {"compiled": 5, "eager": 1}, "controlnet_loads": 2}
    run = {"unet": {"compiled": 9, "eager": 4}, "vae": {"eager": 3}}
    stats["compilation"] = {"blocks": 19, "waiting": 3, "seconds": 7.5, "run": run}
    for loads in (2, 2, 3, 0, 4):
        metrics.sample({**stats, "controlnet_loads": loads, "cache": {"hits": loads, "misses": 1}})
    value = registry.get_sample_value
    assert value("composition_diffusion_phase_requests", {"phase": "encoding"}) == 2
    assert value("composition_diffusion_forwards_total", {"mode": "compiled"}) == 5
    assert value("composition_diffusion_blocks_total", {"network": "unet", "mode": "compiled"}) == 9
    assert value("composition_diffusion_blocks_total", {"network": "vae", "mode": "eager"}) == 3
    assert value("composition_diffusion_compiled_blocks", {"status": "compiled"}) == 19
    assert value("composition_diffusion_compiled_blocks", {"status": "waiting"}) == 3
    assert value("composition_diffusion_compiling_seconds_total") == 7.5
    assert value("composition_adapter_loads_total", {"adapter": "controlnet"}) == 3 + 4  # it began anew in between
    assert value("composition_encoding_cache_lookups_total", {"outcome": "miss"}) == 1


def test_a_batch_is_measured_and_its_failures_have_their_code(registry, spans):
    desk = BatchDesk(account=MeasuredBatches(BatchMetrics(registry)))

    def forward(items):
        if "bad" in items:
            raise InvalidInput("no")
        return items

    desk.answer(
        "detect", [Parcel("a", traceparent=PARENT), Parcel("bad", traceparent=PARENT), Parcel("c")], forward, doing="x"
    )
    value = registry.get_sample_value
    assert value("composition_runner_batch_items_sum", {"method": "detect"}) == 3
    assert value("composition_runner_batch_items_count", {"method": "detect"}) == 1
    assert value("composition_runner_failures_total", {"method": "detect", "code": "INVALID_INPUT"}) == 1
    good, bad = spans.get_finished_spans()  # the third is in no trace
    assert (good.name, good.attributes["batch.items"], good.status.is_ok) == ("detect", 3, True)
    assert not bad.status.is_ok


def diffusion_request(**fields) -> DiffusionRequest:
    return DiffusionRequest(
        request_id="r", image=np.zeros((64, 64, 3), np.uint8), mask=np.zeros((64, 64), np.uint8), prompt="a secret",
        negative_prompt="", num_inference_steps=2, guidance_scale=7.5, seed=1, **fields,
    )  # fmt: skip


def told(*events, traceparent=PARENT) -> None:
    phases = PhaseSpans()
    phases.begin(diffusion_request(traceparent=traceparent))
    for event in events:
        phases.note(event)


def test_the_events_of_a_request_tell_its_phases(spans):
    result = DiffusionResult(image=np.zeros((64, 64, 3), np.uint8), models_used=())
    steps = [DiffusionProgress(step=step, total=2) for step in (0, 1, 2)]
    told(Accepted(lease_s=1.0), *steps[:2], Alive(), steps[2], result)
    assert [(one.name, dict(one.attributes)) for one in spans.get_finished_spans()] == [
        ("encode", {}),
        ("denoise", {"steps": 2}),
        ("decode", {}),
    ]
    assert all("secret" not in one.to_json() for one in spans.get_finished_spans())


def test_the_phase_that_an_error_ended_is_told_as_failed(spans):
    told(DiffusionProgress(step=0, total=2), DiffusionProgress(step=1, total=2), OutOfMemory("no"))
    encode, denoise = spans.get_finished_spans()
    assert (denoise.name, denoise.attributes["steps"], denoise.status.is_ok) == ("denoise", 1, False)
    assert encode.status.is_ok


@pytest.mark.parametrize("traceparent", ["", "rubbish"])
def test_a_request_without_a_trace_has_no_spans_of_another(spans, traceparent):
    told(DiffusionProgress(step=0, total=2), traceparent=traceparent)
    assert all(one.parent is None for one in spans.get_finished_spans())
