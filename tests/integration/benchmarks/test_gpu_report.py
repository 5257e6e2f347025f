"""The GPU report's own working on the tiny profile: every row is there and it is marked. Its times say nothing."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks import gpu_report
from benchmarks.gpu_card import PeakMemory, measure_tflops
from benchmarks.gpu_report import USE_CASES
from benchmarks.report_files import MEANINGLESS, table, write
from runners.diffusion.families.stable_diffusion.compilation.compiler import BlockCompiler
from tests.integration.runners.diffusion.compilation.networks import CountingBackend

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    # diffusers' DPM scheduler under numpy 2.4.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]


def test_the_tiny_profile_fills_every_row_and_is_marked(tiny_models, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(gpu_report, "USE_CASES", (USE_CASES[0], USE_CASES[3]))
    monkeypatch.setattr(gpu_report, "CONCURRENT", (1, 2))
    assert gpu_report.main(["--profile", "tiny", "--quick", "--out", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "gpu_report.json").read_text())
    assert [row["use case"] for row in report["latency"]] == ["colour change", "clothing try-on"]
    for row in report["latency"]:
        assert row["ours, s"] > 0
        assert row["stock diffusers, s"] > 0
        assert row["floor, s"] == pytest.approx(row["TFLOP"] / report["tflops"])
        assert (row["steps compiled"], row["ours eager, s"]) == ("0 of 2", None)
    assert report["compilation"]["on"] is False
    plain, controlled = (row["TFLOP"] for row in report["latency"])
    assert controlled > plain
    assert [row["at once"] for row in report["throughput"]] == [1, 2]
    assert report["meaningless"] is True
    assert MEANINGLESS in capsys.readouterr().out
    assert (tmp_path / "gpu_report.zip").stat().st_size > 1000


def test_where_blocks_are_compiled_it_times_them_compiled_and_eager_beside(tiny_models, tmp_path, monkeypatch):
    compiler = BlockCompiler(CountingBackend(), max_rows=4)
    monkeypatch.setattr(gpu_report, "compiler_for", lambda components, settings: compiler)
    monkeypatch.setattr(gpu_report, "USE_CASES", USE_CASES[:1])
    monkeypatch.setattr(gpu_report, "CONCURRENT", (1, 2))
    assert gpu_report.main(["--profile", "tiny", "--quick", "--out", str(tmp_path)]) == 0
    torch._dynamo.reset()
    report = json.loads((tmp_path / "gpu_report.json").read_text())
    [row] = report["latency"]
    assert row["steps compiled"] == "2 of 2"
    assert row["ours eager, s"] > 0
    for row in report["throughput"]:
        compiled, all_of_them = row["steps compiled"].split(" of ")
        assert int(compiled) == int(all_of_them) > 0
    assert report["cold_start"][2]["seconds"] > 0
    assert (report["compilation"]["on"], report["compilation"]["waiting"]) == (True, 0)


def test_random_weights_need_no_profile_and_a_part_that_fails_is_named_and_ends_no_other(tmp_path, capsys, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("no such kernel")

    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "empty"))
    monkeypatch.setattr(gpu_report, "USE_CASES", USE_CASES[:1])
    monkeypatch.setattr(gpu_report, "CONCURRENT", (2,))
    monkeypatch.setattr(gpu_report.GpuReport, "_operations", fail)
    random = ["--random-weights", str(tmp_path / "models"), "--random-size", "small"]
    assert gpu_report.main([*random, "--quick", "--out", str(tmp_path)]) == 1
    report = json.loads((tmp_path / "gpu_report.json").read_text())
    assert report["failures"] == ["colour change, beside stock diffusers: RuntimeError: no such kernel"]
    [row] = report["latency"]
    assert row["ours, s"] > 0
    assert row["stock diffusers, s"] is None
    assert [row["at once"] for row in report["throughput"]] == [2]
    assert (report["models"], report["plan"]) == ("random weights of Stable Diffusion 1.5's small widths", None)
    assert "random weights" in capsys.readouterr().out


def test_sdxl_paints_every_use_case_at_its_own_size(tiny_sdxl_models, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_report, "USE_CASES", (USE_CASES[0], USE_CASES[4]))
    monkeypatch.setattr(gpu_report, "CONCURRENT", (1,))
    assert gpu_report.main(["--profile", "tiny-sdxl", "--quick", "--out", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "gpu_report.json").read_text())
    native = tiny_sdxl_models.native_size
    assert [(row["use case"], row["px"]) for row in report["latency"]] == [
        ("colour change", native), ("car rim replacement", native)
    ]  # fmt: skip
    plain, controlled = (row["TFLOP"] for row in report["latency"])
    assert controlled > plain > 0
    assert all(row["stock diffusers, s"] > 0 and row["SPEC.md (RTX 3090), s"] is None for row in report["latency"])
    assert report["meaningless"] is True
    assert MEANINGLESS in (tmp_path / "gpu_report.md").read_text()


def test_a_table_has_a_dash_for_what_was_not_measured():
    assert table([{"a": "x", "b": 1.23456, "c": None}]) == "| a | b | c |\n| --- | --- | --- |\n| x | 1.23 | - |\n"
    assert "nothing was measured" in table([])


def test_a_report_that_means_something_is_not_marked(tmp_path):
    write("r", {"meaningless": False}, {"T": [{"a": "x", "b": 1.0}]}, tmp_path)
    assert MEANINGLESS not in (tmp_path / "r.md").read_text()


def test_without_a_gpu_there_is_no_peak_and_the_processor_is_measured():
    assert PeakMemory(torch.device("cpu")).bytes() is None
    assert measure_tflops(torch.device("cpu"), torch.float32, 64) > 0
