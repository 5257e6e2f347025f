"""The command: what it prints and writes, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks.capacity import __main__ as capacity
from benchmarks.capacity.cards import expected
from benchmarks.capacity.costs import Costs, ShapeCosts, save
from benchmarks.capacity.traffic import MIXES
from benchmarks.capacity.validation import Compared


def run(capsys, tmp_path, *arguments):
    status = capacity.main([*arguments, "--out", str(tmp_path / "out")])
    return status, capsys.readouterr()


def test_every_rate_number_of_workers_and_way_of_serving_has_a_line(capsys, tmp_path):
    status, said = run(capsys, tmp_path, "--rates", "1,2000", "--workers", "1,2", "--requests", "30")
    assert status == 0
    lines = [line.split(" | ") for line in said.out.splitlines() if line.startswith("| 1 ") or "| 2000 " in line]
    assert len(lines) == 2 * 2 * 3
    report = json.loads((tmp_path / "out" / "capacity.json").read_text())
    assert "expected of RTX 3090" in report["costs"]
    assert report["asked"]["seed"] == 7
    quiet = [row for row in report["rows"] if row["requests/h"] == "1"]
    assert {(row["delay p99, s"], row["answer p50, s"]) for row in quiet} == {("0.0", "1.3")}


def test_the_same_command_says_the_same(capsys, tmp_path):
    said = [run(capsys, tmp_path, "--rates", "3000", "--workers", "1", "--requests", "60")[1].out for _ in range(2)]
    assert said[0] == said[1]


def test_an_overloaded_worker_has_no_percentiles(capsys, tmp_path):
    _, said = run(capsys, tmp_path, "--card", "RTX 3060", "--rates", "10000", "--workers", "1", "--requests", "60")
    assert said.out.count("overloaded") == 3 * 6


def test_each_kind_has_a_line_of_its_own(capsys, tmp_path):
    given = ["--rates", "800", "--workers", "1", "--mix", "drafts", "--requests", "200", "--by-kind"]
    run(capsys, tmp_path, *given)
    rows = json.loads((tmp_path / "out" / "capacity.json").read_text())["rows"]
    assert [row["kind"] for row in rows] == ["all", "draft", "fine"] * 3
    p95 = {(row["served"], row["kind"]): float(row["answer p95, s"]) for row in rows}
    # A draft does not wait for a fine one to end where steps are shared.
    assert p95["step engine", "draft"] < p95["one at a time", "draft"] / 2
    assert p95["step engine", "fine"] > p95["step engine", "draft"]


def test_the_workers_needed_have_a_column_for_each_way_of_serving(capsys, tmp_path):
    _, said = run(capsys, tmp_path, "--within", "10", "--rates", "10", "--requests", "20")
    assert said.out.splitlines()[-1] == "| 10 | 1 | 1 | 1 |"


def test_measured_costs_are_simulated_in_place_of_expected_ones(capsys, tmp_path):
    square = ShapeCosts(latent_size=(32, 32), encode_s=1.0, decode_s=2.0, unet_s={2: 0.5})
    save(Costs(about="measured on a toy", shapes={"square": square}), tmp_path / "costs.json")
    given = ("--costs", str(tmp_path / "costs.json"), "--rates", "1", "--workers", "1", "--requests", "5")
    status, said = run(capsys, tmp_path, *given, "--mix", "simple")
    assert (status, said.out.splitlines()[0]) == (0, "measured on a toy")
    assert "| 13.0 | 13.0 | 13.0 |" in said.out
    status, said = run(capsys, tmp_path, *given)
    assert (status, said.err) == (2, "error: no step costs for the shape 'landscape', only for square\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--costs", "nowhere.json"], "nowhere.json"),
        (["--mix", "nowhere"], "no mix is called 'nowhere'"),
        (["--within", "0.1"], "colour change alone takes"),
    ],
)
def test_what_cannot_be_simulated_is_said_in_a_line(capsys, tmp_path, arguments, says):
    status, said = run(capsys, tmp_path, *arguments)
    assert status == 2
    [line] = said.err.splitlines()
    assert line.startswith("error: ")
    assert says in line


@pytest.mark.parametrize(
    "arguments",
    [["--by-kind", "--within", "9"], ["--rates", "0.5"], ["--rates", "x"], ["--workers", "65"], ["--rows", "0"]],
)
def test_numbers_out_of_bounds_are_refused(capsys, tmp_path, arguments):
    with pytest.raises(SystemExit):
        run(capsys, tmp_path, *arguments)


@pytest.mark.parametrize(("off", "status", "says"), [(1.1, 0, "within 15%"), (1.3, 1, "NOT WITHIN 15%")])
def test_a_forecast_that_is_off_fails_the_validation(capsys, tmp_path, monkeypatch, off, status, says):
    monkeypatch.setattr(capacity, "validate_simulated", lambda: [Compared(name="p50", foretold=1.0, seen=1.0)])
    monkeypatch.setattr(capacity, "validate_real", lambda: [Compared(name="p50", foretold=off, seen=1.0)])
    found, said = run(capsys, tmp_path, "--validate")
    assert (found, said.out.splitlines()[-1]) == (status, says)


def test_every_shape_of_the_mixes_has_costs_on_every_card():
    for mix in MIXES:
        capacity.check(capacity.load_mix(mix), expected("A100"))


def test_simulating_needs_no_model_framework():
    code = "import sys, benchmarks.capacity.__main__; print(sorted({'torch', 'diffusers'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"
