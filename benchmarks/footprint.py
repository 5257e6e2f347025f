"""What a served instance costs at rest and per edit: time to healthy, memory of every process, p50 and where it goes.

Usage: python -m benchmarks.footprint [--edits 15] [--out out]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from benchmarks.demo import run_case
from benchmarks.demo_cases import Case, photo_cases, world_cases
from benchmarks.server import Server, free_port
from composition.config import load_config

MB = 1024 * 1024


def memory_by_process(pid: int) -> list[tuple[str, float]]:
    """Name and proportional set size (MB; shared pages counted once over all) of a server and its children."""
    root = psutil.Process(pid)
    rows = []
    for process in [root, *root.children(recursive=True)]:
        words = process.cmdline()
        name = next((words[i + 1] for i, word in enumerate(words) if word == "--service-name"), None)
        role = name or ("front" if "_bentoml_impl.worker.service" in words else "supervisor")
        rows.append((role, process.memory_full_info().pss / MB))
    return rows


def processor_seconds(pid: int) -> float:
    """What a server and its children have taken of the processor so far; other work beside them does not change it."""
    root = psutil.Process(pid)
    return sum(sum(process.cpu_times()[:2]) for process in [root, *root.children(recursive=True)])


def time_edits(client: httpx.Client, case: Case, count: int) -> tuple[list[float], dict[str, float]]:
    """Wall milliseconds of `count` edits of fresh images, and the median per stage of the service's own account."""
    walls, stages = [], []
    for index in range(count):
        fresh = case.base.copy()
        fresh[0, 0] = index  # another image for the caches
        start = time.perf_counter()
        result = run_case(client, Case(name=case.name, prompt=case.prompt, base=fresh, reference=case.reference))
        walls.append((time.perf_counter() - start) * 1000)
        stages.append(result["metadata"]["timings_ms"])
    names = stages[0]
    return walls, {name: statistics.median(stage.get(name, 0.0) for stage in stages) for name in names}


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the process's exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edits", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)
    case = (world_cases() if load_config().models.profile == "demo" else photo_cases())[2]
    start = time.monotonic()
    with Server(port=free_port(), log=options.out / "footprint.log") as server:
        health: dict[str, Any] = server.wait_until_healthy()
        healthy_s, busy_s = time.monotonic() - start, processor_seconds(server.pid)
        print(f"healthy after {healthy_s:.1f} s ({busy_s:.1f} s of a core), {', '.join(health['models_loaded'])}")
        with httpx.Client(base_url=server.url, timeout=300) as client:
            time_edits(client, case, 2)
            walls, stages = time_edits(client, case, options.edits)
        low, high = np.percentile(walls, [25, 75])
        print(f"one edit ({case.prompt!r}, 20 steps): p50 {statistics.median(walls):.0f} ms ({low:.0f}..{high:.0f})")
        print("  of which, ms: " + ", ".join(f"{name} {value:.0f}" for name, value in stages.items()))
        rows = memory_by_process(server.pid)
    for role, size_mb in rows:
        print(f"{role:<20} {size_mb:7.0f} MB")
    print(f"{'together':<20} {sum(size for _, size in rows):7.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
