"""Four views of one thing with the demo models: judged by the truth, beside the same photographs by themselves."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
FIRST_SEED = 4_310_005
"""A car that becomes purple, which the models can do."""


@pytest.fixture(scope="module")
def figures(bentoml_home: Path, tmp_path_factory) -> dict[str, tuple[float, int]]:
    """Of each way the spread of colour, and how many are right."""
    out = tmp_path_factory.mktemp("demo_views")
    environment = {**os.environ, "BENTOML_HOME": str(bentoml_home), "OMP_NUM_THREADS": "1"}
    imports = [sys.executable, "-m", "models_store", "import", "demo"]
    subprocess.run(imports, cwd=REPOSITORY, env=environment, check=True)
    asked = (f"--first-seed={FIRST_SEED}", "--scenes=1", "--kinds=views", f"--out={out}")
    command = [sys.executable, "-m", "benchmarks.demo_world", *asked]
    ended = subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, capture_output=True, text=True)
    assert (out / "views.png").exists()
    lines = re.findall(r"^(\w+) +colour spread +([\d.]+) .* success (\d)/4", ended.stdout, re.MULTILINE)
    return {name: (float(spread), int(right)) for name, spread, right in lines}


def test_views_have_less_spread_than_the_same_photographs_by_themselves_and_are_as_good(figures):
    views, alike, apart = figures["views"], figures["alike"], figures["apart"]
    assert views[0] < min(alike[0], apart[0])
    assert views[1] >= max(1, apart[1] - 1)


def test_the_truth_is_right_and_the_cheats_are_not(figures):
    assert {name: figures[name][1] for name in ("truth", "flat", "noop")} == {"truth": 4, "flat": 0, "noop": 0}
