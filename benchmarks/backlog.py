"""What a long queue costs: submit and status latency, start-up time and memory with thousands of pending jobs.

    python -m benchmarks.backlog           5,000 jobs with 200 kB bodies, workers paused

Drives the REST edge with the embedded queue (`benchmarks.chaos_stand_in`); no model is involved.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil

from benchmarks.chaos_targets import Child, wait_until_it_answers
from benchmarks.server import free_port

SUBMIT_P99_MS = 50.0
STATUS_P99_MS = 20.0
START_S = 5.0
GROWTH_MB = 60.0


def bodies(size_bytes: int) -> list[dict[str, object]]:
    """A few requests of about that size: one noisy JPEG each."""
    import io

    from PIL import Image

    out: list[dict[str, object]] = []
    for seed in range(4):
        side = 256
        while True:
            buffer = io.BytesIO()
            Image.frombytes("RGB", (side, side), random.Random(seed).randbytes(side * side * 3)).save(buffer, "JPEG")
            if len(buffer.getvalue()) * 4 / 3 >= size_bytes:
                break
            side += 16
        out.append({"base_image": base64.b64encode(buffer.getvalue()).decode(), "prompt": f"blue car {seed}"})
    return out


async def timed(client: httpx.AsyncClient, method: str, path: str, body: object = None) -> tuple[float, httpx.Response]:
    """Milliseconds and the answer."""
    began = time.perf_counter()
    answer = await client.request(method, path, json=body)
    elapsed_ms = (time.perf_counter() - began) * 1000
    answer.raise_for_status()
    return elapsed_ms, answer


def p99(values: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(values, n=100)[98]


def memory_mb(child: Child) -> float:
    """Resident memory of the front service."""
    assert child.process is not None
    return float(psutil.Process(child.process.pid).memory_info().rss) / 1e6


class Backlog:
    """One run."""

    def __init__(self, folder: Path, *, jobs: int, size_bytes: int) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._jobs = jobs
        self._bodies = bodies(size_bytes)
        settings = {
            "COMPOSITION_STORAGE__JOBS": str(folder / "jobs.db"),
            "COMPOSITION_STORAGE__BLOBS": str(folder / "images"),
            "COMPOSITION_QUEUE__MAX_PENDING": str(jobs + 100),
            "COMPOSITION_LIMITS__MAX_CONCURRENT_REQUESTS": "1",
        }
        command = [sys.executable, "-m", "benchmarks.chaos_stand_in", "front", str(port), "0"]
        self.front = Child("front", command, settings, folder / "front.log")

    async def fill(self) -> tuple[list[float], list[float], float]:
        """Submit all, asking for a status now and then; submit ms, status ms, memory growth in MB."""
        submits: list[float] = []
        statuses: list[float] = []
        ids: list[str] = []
        rng = random.Random(7)
        early_mb = 0.0
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as client:
            for number in range(self._jobs):
                body = self._bodies[number % len(self._bodies)]
                elapsed_ms, answer = await timed(client, "POST", "/api/v1/generate/async", body)
                submits.append(elapsed_ms)
                ids.append(answer.json()["job_id"])
                if number % 5 == 4:
                    elapsed_ms, answer = await timed(client, "GET", f"/api/v1/status/{rng.choice(ids)}")
                    statuses.append(elapsed_ms)
                if number == self._jobs // 10:
                    early_mb = memory_mb(self.front)
                if number % 1000 == 999:
                    print(f"  {number + 1} jobs, submit p99 {p99(submits[-1000:]):.1f} ms", flush=True)
        return submits, statuses, memory_mb(self.front) - early_mb

    def restart(self) -> float:
        """Kill the service and start it with the backlog; seconds until it answers."""
        self.front.kill()
        began = time.perf_counter()
        self.front.start()
        wait_until_it_answers(self.url)
        return time.perf_counter() - began


def main() -> int:
    """Exit status 0 when every bound held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--body-kb", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="backlog-") as folder:
        backlog = Backlog(Path(folder), jobs=options.jobs, size_bytes=options.body_kb * 1000)
        backlog.front.start()
        try:
            wait_until_it_answers(backlog.url)
            submits, statuses, growth_mb = asyncio.run(backlog.fill())
            start_s = backlog.restart()
        finally:
            backlog.front.kill()
    rows = [
        ("submit p50 ms", statistics.median(submits), None),
        ("submit p99 ms", p99(submits), SUBMIT_P99_MS),
        ("status p50 ms", statistics.median(statuses), None),
        ("status p99 ms", p99(statuses), STATUS_P99_MS),
        ("start-up s", start_s, START_S),
        ("memory growth MB, last 90 % of jobs", growth_mb, GROWTH_MB),
    ]
    for name, value, bound in rows:
        limit = "" if bound is None else f"  (bound {bound:g})"
        print(f"{name:<36} {value:8.1f}{limit}")
    return 0 if all(bound is None or value < bound for _, value, bound in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
