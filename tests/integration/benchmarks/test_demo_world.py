"""Edits mean what they say: the service's own editor with the demo models, judged by ground truth on fixed scenes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[3]
FIRST_SEED, SCENES = 7_000, 3


@pytest.fixture(scope="module")
def verdicts(bentoml_home: Path, tmp_path_factory) -> list[dict[str, Any]]:
    out = tmp_path_factory.mktemp("demo_world")
    environment = {**os.environ, "BENTOML_HOME": str(bentoml_home), "OMP_NUM_THREADS": "1"}
    for command in (
        ["models_store", "import", "demo"],
        ["benchmarks.demo_world", f"--first-seed={FIRST_SEED}", f"--scenes={SCENES}", f"--out={out}"],
    ):
        subprocess.run([sys.executable, "-m", *command], cwd=REPOSITORY, env=environment, check=True)
    assert {path.name for path in out.glob("*.png")} == {f"{kind}.png" for kind in KINDS}
    found: list[dict[str, Any]] = json.loads((out / "verdicts.json").read_text())
    return found


KINDS = ("recolour", "material", "reference", "structure")


def test_every_edit_is_judged(verdicts):
    assert len(verdicts) == len(KINDS) * SCENES


def test_every_edit_takes_the_pipeline_that_it_calls_for(verdicts):
    assert all(verdict["routed"] for verdict in verdicts)


@pytest.mark.parametrize("kind", KINDS)
def test_the_colour_is_the_one_asked_for_and_the_shape_is_kept(verdicts, kind):
    right = [v["colour"] >= 0.5 and v["shape"] >= 0.7 for v in verdicts if v["kind"] == kind]
    assert sum(right) >= (1 if kind == "structure" else 2)


def test_a_recoloured_thing_passes_the_whole_judgement(verdicts):
    assert sum(v["success"] for v in verdicts if v["kind"] == "recolour") >= 2
