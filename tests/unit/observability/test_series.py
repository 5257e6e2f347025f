"""What several processes count is one text, whoever is asked, and outlives who counted it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter

from observability.series import render

ROOT = Path(__file__).parents[3]
COUNTING = """
import os, sys
from observability.jobs import JobMetrics
from observability.models import DiffusionMetrics
from observability.processes import ProcessMetrics
from observability.series import process_registry, render

registry = process_registry()
ProcessMetrics(registry, sys.argv[1]).sample()
if sys.argv[1] == "front":
    JobMetrics(registry, concurrency=3)
    sys.stdout.write(render(registry).decode())
else:
    DiffusionMetrics(registry).stepped(requests=2, rows=4, seconds=0.1)
    os._exit(9)  # as a runner that is killed
"""


def run_as(process: str, folder: Path) -> str:
    environment = {
        "PYTHONPATH": str(ROOT),
        "IMAGE_COMPOSITION_SERIES": str(folder),
        "PROMETHEUS_MULTIPROC_DIR": "/nope",
    }
    command = [sys.executable, "-c", COUNTING, process]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False).stdout


def test_the_front_tells_what_a_runner_counted_that_was_killed_but_not_what_it_held(tmp_path):
    folder = tmp_path / "taken by who tidies up"
    for _ in range(2):
        run_as("diffusion", folder)
    text = run_as("front", folder)
    assert "composition_diffusion_step_rows_sum 8.0" in text
    assert 'composition_process_starts_total{process="diffusion"} 2.0' in text
    assert 'composition_process_resident_memory_bytes{process="front"}' in text
    assert 'composition_process_resident_memory_bytes{process="diffusion"}' not in text
    assert "composition_job_places 3.0" in text


def test_a_process_of_no_server_tells_of_itself_alone():
    registry = CollectorRegistry()
    Counter("composition_things", "Things.", registry=registry).inc()
    assert b"composition_things_total 1.0" in render(registry)
