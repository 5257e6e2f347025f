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


def test_no_pixel_outside_the_mask_changes(verdicts):
    assert len(verdicts) == len(KINDS) * SCENES
    assert [verdict["strayed_px"] for verdict in verdicts] == [0] * len(verdicts)


def test_every_edit_takes_the_pipeline_that_it_calls_for(verdicts):
    assert all(verdict["routed"] for verdict in verdicts)


@pytest.mark.parametrize(("kind", "at_least"), [("recolour", 2), ("material", 2), ("reference", 2), ("structure", 1)])
def test_the_colour_and_the_shape_are_the_ones_asked_for(verdicts, kind, at_least):
    successes = [verdict["success"] for verdict in verdicts if verdict["kind"] == kind]
    assert sum(successes) >= at_least
