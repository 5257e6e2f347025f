"""Two edits in one pass with the demo models: as good as one after the other, for no more work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
FIRST_SEED = 7_000


@pytest.fixture(scope="module")
def printed(bentoml_home: Path, tmp_path_factory) -> list[str]:
    out = tmp_path_factory.mktemp("demo_several")
    environment = {**os.environ, "BENTOML_HOME": str(bentoml_home), "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-m", "models_store", "import", "demo"], cwd=REPOSITORY, env=environment, check=True
    )
    command = [
        sys.executable,
        "-m",
        "benchmarks.demo_several",
        f"--first-seed={FIRST_SEED}",
        "--scenes=1",
        f"--out={out}",
    ]
    ended = subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, capture_output=True, text=True)
    assert (out / "several.png").exists()
    return ended.stdout.splitlines()


def counted(printed: list[str], way: str) -> dict[str, int]:
    line = next(line for line in printed if line.startswith(f"{way}: "))
    return {name: int(number) for number, name in re.findall(r"(\d+) (\w+)", line)}


def test_as_many_edits_succeed_as_one_after_the_other_and_none_of_the_cheats(printed):
    several, sequential = re.fullmatch(r"several (\d)/2 sequential (\d)/2 flat 0/2 noop 0/2", printed[-1]).groups()
    assert several >= sequential >= "1"


def test_they_cost_no_more_and_each_crop_is_decoded_once(printed):
    together, apart = counted(printed, "several"), counted(printed, "sequential")
    assert together["unet_forwards"] <= apart["unet_forwards"]
    assert together["unet_rows"] == apart["unet_rows"]
    assert together["vae_decodes"] == apart["vae_decodes"] == 2
