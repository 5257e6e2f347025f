"""The short form of `make chaos`: processes are killed at random while jobs run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize("mode", ["embedded", "celery"])
def test_random_kills_lose_nothing_and_double_nothing(mode: str) -> None:
    command = [sys.executable, "-m", "benchmarks.chaos", "--short", "--mode", mode]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1] == f"chaos {mode}: 8/8 once"
