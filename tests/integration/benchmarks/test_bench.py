"""The benchmark's own working: what it writes and when it fails. Its times are not a test's business."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks import bench
from benchmarks.bench_engine import Outcome
from benchmarks.bench_requests import mixed_requests

pytestmark = pytest.mark.integration

ARGUMENTS = ["--size", "small", "--only", "weights", "--rounds", "1"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return tmp_path_factory.mktemp("bench-models")


def test_every_weight_of_the_measured_model_is_held_once(models, tmp_path, capsys):
    status = bench.main([*ARGUMENTS, "--models", str(models), "--out", str(tmp_path)])
    report = json.loads((tmp_path / "bench.json").read_text())
    assert status == 0
    assert report["ratios"] == {"weights": 1.0}
    assert report["details"]["weights"]["held_bytes"] > 1_000_000
    assert (report["model"]["name"], report["model"]["weights"]) == ("small", "random")
    assert report["model"]["dtype"] in ("float32", "bfloat16", "float16")
    assert (tmp_path / "bench.png").stat().st_size > 1000
    assert "small size (random weights), 256 px" in capsys.readouterr().out


def test_a_promise_that_is_not_kept_fails_the_run(models, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "measure", lambda *args: {"solo": Outcome(ratio=1.2, details={})})
    status = bench.main(["--size", "small", "--only", "solo", "--models", str(models), "--out", str(tmp_path)])
    assert status == 1
    assert "NOT KEPT" in capsys.readouterr().out


def test_an_unknown_measure_is_refused(capsys):
    with pytest.raises(SystemExit):
        bench.main(["--only", "solo,speed"])
    assert "speed" in capsys.readouterr().err


def test_the_mixed_requests_differ_in_everything_that_may_differ():
    requests = mixed_requests(1, 64, 10)
    assert len(requests) == 8
    assert len({request.num_inference_steps for request in requests}) >= 5
    assert {frozenset(request.controls) for request in requests} == {
        frozenset(),
        frozenset({"pose"}),
        frozenset({"depth"}),
        frozenset({"pose", "depth"}),
    }
    assert {bool(request.references) for request in requests} == {True, False}
    assert {request.guidance_scale > 1 for request in requests} == {True, False}
    assert len({request.image.tobytes() for request in requests}) == 8
    assert torch.get_default_dtype() == torch.float32
