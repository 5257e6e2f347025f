"""The supervisor that BentoML serves with, told to stop at the moments at which it used to forget that."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

SUPERVISOR = """
import os, signal, sys
from bentoml._internal.utils.circus import create_standalone_arbiter
from bentoml.serving import create_watcher
from circus.watcher import Watcher
from runners.supervisor import remember_stops

remember_stops()
spawn, spawned = Watcher.spawn_process, []

def spawn_and_be_told_to_stop(watcher, *args):
    started = spawn(watcher, *args)
    spawned.append(watcher.name)
    if watcher.name == "ends" and spawned.count("ends") == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGTERM)
        print("told to stop", flush=True)
    return started

Watcher.spawn_process = spawn_and_be_told_to_stop
stays, ends = (create_watcher(name=name, args=["-c", code]) for name, code in (
    ("stays", "import time; time.sleep(600)"), ("ends", "")))
create_standalone_arbiter([ends, stays], check_delay=0.2).start()
print("ended", spawned.count("stays"), spawned.count("ends"), flush=True)
"""
ROOT = Path(__file__).parents[3]
LIMIT_S = 120.0
"""It takes seconds, on a machine that others use more."""


@pytest.mark.parametrize(("start", "why"), [(1, "the server starts"), (3, "a runner ends as often as it is started")])
def test_a_stop_that_comes_while_a_process_is_started_is_obeyed(start: int, why: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SUPERVISOR, str(start)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        process.communicate()
        pytest.fail(f"it went on when {why}")
    told, ended = said.splitlines()
    assert told == "told to stop"
    assert ended.startswith("ended 1 ")
    assert process.returncode == 0
