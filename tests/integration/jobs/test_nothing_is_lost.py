"""The short form of `make chaos`: processes are killed at random while jobs run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]


def chaos(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.chaos", "--short", *options]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=900, check=False)


@pytest.mark.parametrize("mode", ["embedded", "celery"])
def test_random_kills_lose_nothing_and_double_nothing(mode: str) -> None:
    run = chaos("--mode", mode)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1] == f"chaos {mode}: 8/8 once"


def test_a_store_that_lets_an_overtaken_attempt_publish_is_seen() -> None:
    run = chaos("--mode", "celery", "--jobs", "2", "--kills", "0", "--cheat", "unfenced")
    assert run.returncode == 1, run.stdout + run.stderr
    assert "was completed by attempt 2 with the result of 1" in run.stdout
