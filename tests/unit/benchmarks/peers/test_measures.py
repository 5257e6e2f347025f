"""The comparison of servers where some are not there; of those that are: tests/integration/benchmarks."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.peers import __main__ as peers
from benchmarks.peers.adapters import Launch, Naive, PeerFailed
from benchmarks.peers.measures import COLUMNS, Effort, PeerBench

EFFORT = Effort(side_px=128, steps=5, rounds=1)


@dataclass(frozen=True, kw_only=True)
class Broken(Naive):
    """Says why, and ends."""

    name: str = "broken"

    def launch(self, port: int, folder: Path) -> Launch:
        return Launch(command=[sys.executable, "-c", "raise SystemExit('no weights here')"], cwd=folder)


@dataclass(frozen=True, kw_only=True)
class Absent(Naive):
    name: str = "absent"

    def launch(self, port: int, folder: Path) -> Launch:
        raise PeerFailed("it is not installed")


@pytest.mark.parametrize(
    ("kind", "says"),
    [(Broken, "start: it ended with 1 before it was healthy: no weights here"), (Absent, "start: it is not installed")],
)
def test_a_server_that_does_not_start_is_a_row_with_the_reason(tmp_path, kind, says):
    row = PeerBench(kind(model=tmp_path, dtype="float32"), EFFORT, tmp_path / "run").run()
    assert row["note"] == says
    assert {name for name in COLUMNS if row[name] is not None} == {"server", "note"}


@pytest.fixture
def model(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model_index.json").touch()
    return tmp_path / "model"


def run(monkeypatch, model, tmp_path, *arguments):
    monkeypatch.setattr(peers, "machine", dict)
    monkeypatch.setattr(peers, "_has_cuda", lambda: False)
    return peers.main(["--model", str(model), "--px", "256", "--out", str(tmp_path / "out"), *arguments])


def test_servers_that_are_not_there_leave_the_others_their_rows(model, tmp_path, monkeypatch, capsys):
    made = {
        "naive": Absent(model=model, dtype="float32"),
        "iopaint": Broken(model=model, dtype="float32"),
    }
    monkeypatch.setattr(peers, "peers", lambda options, cuda: made)
    assert run(monkeypatch, model, tmp_path) == 1
    report = json.loads((tmp_path / "out" / "peers.json").read_text())
    assert [row["note"] for row in report["rows"]] == [
        "start: it is not installed",
        "start: it ended with 1 before it was healthy: no weights here",
    ]
    assert "|  | absent | broken |" in capsys.readouterr().out


def test_a_checkout_of_comfyui_is_measured_when_one_is_given(model):
    given = ["--model", str(model), "--comfyui", "/comfy"]
    assert list(peers.peers(peers._parse(given), cuda=False)) == ["ours", "naive", "iopaint", "comfyui"]
    assert list(peers.peers(peers._parse(given[:2]), cuda=False)) == ["ours", "naive", "iopaint"]
    assert list(peers.peers(peers._parse([*given, "--only", "naive,comfyui"]), cuda=False)) == ["naive", "comfyui"]


def test_a_folder_that_is_no_model_is_refused_in_a_line(tmp_path, capsys, monkeypatch):
    assert run(monkeypatch, tmp_path, tmp_path) == 2
    assert capsys.readouterr().err == f"error: {tmp_path} is no diffusers folder: it has no model_index.json\n"


def test_an_environment_with_iopaint_may_lie_elsewhere(model, tmp_path):
    given = ["--model", str(model), "--only", "iopaint"]
    environments = [
        peers.peers(peers._parse([*given, *more]), cuda=False)["iopaint"].environment
        for more in ([], ["--iopaint", str(tmp_path / "iopaint")])
    ]
    assert environments == [peers.ENVIRONMENT.resolve(), tmp_path / "iopaint"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--only", "ours,forge"],
        ["--only", "comfyui"],
        ["--only", ""],
        ["--rounds", "0"],
        ["--measures", "left,right"],
        ["--at-once", "5"],
        ["--at-once", ""],
    ],
)
def test_what_makes_no_comparison_is_refused(model, tmp_path, arguments, monkeypatch):
    with pytest.raises(SystemExit):
        run(monkeypatch, model, tmp_path, *arguments)


def test_every_figure_is_in_one_table_of_its_unit():
    [*tables] = peers.sections([dict.fromkeys(COLUMNS)]).values()
    names = [name for [row] in tables for name in row if name != "server"]
    assert sorted(names) == sorted(COLUMNS[1:])
