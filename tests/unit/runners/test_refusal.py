"""A child of the supervisor that starts, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from runners.refusal import _NOTE_VARIABLE

ROOT = Path(__file__).parents[3]
CHILD = """
import os, signal, sys
from runners.refusal import refusing_to_start
# as the server does before it starts a runner; a signal may come while something is printed
signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"told\\n"))
with refusing_to_start():
    print("loads", flush=True)
    sys.stdin.readline()
print("has loaded", flush=True)
sys.stdin.readline()
"""


def child(tmp_path: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, _NOTE_VARIABLE: str(tmp_path / f"refusal.{os.getpid()}"), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", CHILD],
        cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_runner_that_loads_its_models_ends_when_it_is_told_to_and_not_when_it_has_loaded_them(tmp_path):
    with child(tmp_path) as process:
        assert process.stdout.readline() == "loads\n"
        process.terminate()
        assert process.wait(120) == -signal.SIGTERM
        assert process.stdout.read() == ""


def test_a_runner_that_has_loaded_them_is_told_by_its_server(tmp_path):
    with child(tmp_path) as process:
        assert process.stdout.readline() == "loads\n"
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "has loaded\n"
        process.terminate()
        assert process.stdout.readline() == "told\n"
        process.kill()
