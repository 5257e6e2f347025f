"""The labelled prompts, and the command line that scores them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from composition.config import RoutingConfig
from composition.routing import Router
from prompt_reading.__main__ import main
from prompt_reading.evaluation import decide_row, evaluate_file
from prompt_reading.reader import GrammarPromptReader

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", ["router_prompts.jsonl", "more_prompts.jsonl", "hard_wordings.jsonl"])
def test_every_labelled_prompt_is_read_as_labelled(name):
    score = evaluate_file(HERE / name, Router(RoutingConfig(), GrammarPromptReader()))
    assert score.misses == []
    assert score.totals["pipelines"] >= 60


HARD_WORDINGS = [json.loads(line) for line in (HERE / "hard_wordings.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    "row", [row for row in HARD_WORDINGS if "kept" in row["expect"]], ids=lambda row: row["prompt"]
)
def test_what_a_hard_wording_keeps_is_protected(row):
    protected = decide_row(Router(RoutingConfig(), GrammarPromptReader()), row).target.protected
    for phrases in row["expect"]["kept"]:
        assert set(phrases) & set(protected)


@pytest.mark.parametrize(
    "row", [row for row in HARD_WORDINGS if "left_out" in row["expect"]], ids=lambda row: row["prompt"]
)
def test_what_a_hard_wording_asks_for_in_vain_is_named_in_a_warning(row):
    warnings = decide_row(Router(RoutingConfig(), GrammarPromptReader()), row).warnings
    left_out = next(warning for warning in warnings if "left out" in warning)
    for words in row["expect"]["left_out"]:
        assert any(word in left_out for word in words)


def test_explain_shows_every_edit_of_a_prompt(capsys):
    assert main(["explain", "make the car red and replace the lamp with a tree"]) == 0
    lines = capsys.readouterr().out.splitlines()
    edits = [line.split(maxsplit=1)[1] for line in lines if line.startswith("edit ")]
    assert edits == ["make the car red", "replace the lamp with a tree"]
    assert [line.split(maxsplit=1)[1] for line in lines if line.startswith("target")] == ["car", "lamp"]
    assert not any("only the first" in line for line in lines)


def test_evaluate_prints_the_score_last_and_succeeds(capsys):
    assert main(["evaluate", str(HERE / "router_prompts.jsonl")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "pipelines 62/62 rules 62/62 controls 59/59 targets 49/49 paints 15/15"
    ]


def test_evaluate_prints_each_miss_and_fails(tmp_path, capsys):
    row = {
        "id": 7,
        "prompt": "replace the mug with a teapot",
        "base": ["mug"],
        "reference": None,
        "expect": {"pipeline": "complex", "target": ["mug"], "paint": {"has": ["teapot"], "lacks": ["teapot"]}},
    }
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n\n", encoding="utf-8")
    assert main(["evaluate", str(path)]) == 1
    *misses, summary = capsys.readouterr().out.splitlines()
    assert summary == "pipelines 0/1 rules 0/0 controls 0/0 targets 1/1 paints 0/1"
    assert len(misses) == 2
    assert all(miss.startswith("7 ") for miss in misses)


@pytest.mark.parametrize(
    "text", ["not json", '{"prompt": "x"}', '{"prompt": "x", "expect": {}, "config": {"pipeline": "?"}}']
)
def test_evaluate_names_the_line_that_is_no_labelled_prompt(tmp_path, capsys, text):
    path = tmp_path / "rows.jsonl"
    path.write_text(text, encoding="utf-8")
    assert main(["evaluate", str(path)]) == 2
    assert "rows.jsonl:1" in capsys.readouterr().err


def test_evaluate_says_when_there_is_no_file(tmp_path, capsys):
    assert main(["evaluate", str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl" in capsys.readouterr().err


def test_explain_prints_the_decision(capsys):
    assert main(["explain", "could you replace the sofa with a bench?"]) == 0
    out = capsys.readouterr().out
    assert "pipeline     complex" in out
    assert "rule         structural_object: the prompt is about a vehicle or furniture (sofa, bench)" in out
    assert "controls     depth 0.8" in out
    assert "target       sofa" in out
    assert "paint        a bench" in out


def test_explain_takes_a_target(capsys):
    assert main(["explain", "make it wooden", "--target", "vase"]) == 0
    out = capsys.readouterr().out
    assert "target       vase" in out
    assert "paint        wooden vase" in out
