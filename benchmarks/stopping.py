"""Stops the service with SIGTERM at random moments, starts it again, and shows that every accepted job completes once.

    python -m benchmarks.stopping               30 runs in both modes
    python -m benchmarks.stopping --runs 2 --mode embedded

Each run: async jobs of which three run and five wait, a synchronous caller and an event stream; SIGTERM; what the
caller and the stream were told; a restart; every job's end. Embedded: `bentoml serve` with the tiny models. Celery: an
API node and two workers with models that only take time (`benchmarks.chaos_stand_in`).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Protocol

import httpx
from PIL import Image

from benchmarks.chaos_targets import BentoService, Child, StandIn, wait_until_it_answers

JOBS = 8
GRACE_S = 3.0
STOP_LIMIT_S = 60.0
END_LIMIT_S = 900.0
PATIENCE_S = 1800.0
"""The time limit of a job: speed is not what is shown, and a machine that is busy otherwise is no fault of ours."""
MODES = ("embedded", "celery")
JOB_S = 4.0


class Stoppable(Protocol):
    """A service that can be asked to stop and started again over the same storage."""

    url: str

    def start(self) -> None:
        """Returns when it answers."""
        ...

    def terminate(self) -> None:
        """SIGTERM, and wait for the end of every process."""
        ...

    def stop(self) -> None:
        """Kill what is left."""
        ...


class EmbeddedService(BentoService):
    """One `bentoml serve`; a terminal or a supervisor may signal all its processes, not the first alone."""

    def terminate(self) -> None:
        """SIGTERM to the supervisor, which gives it to every child."""
        _terminate([self._server])


class DistributedService(StandIn):
    """API node, then workers."""

    def terminate(self) -> None:
        """All of them at once, as when a machine goes down; Redis stays."""
        _terminate(self._mortal)

    def start(self) -> None:
        """What is not running."""
        for child in (*self._fixed, *self._mortal):
            if child.process is None:
                child.start()
        wait_until_it_answers(self.url)


def _terminate(children: list[Child]) -> None:
    """Raises: TimeoutExpired when one stays."""
    processes = [child.process for child in children if child.process is not None]
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        process.wait(STOP_LIMIT_S)
    for child in children:
        child.process = None


class StopRun:
    """One SIGTERM; `wrong` must stay empty."""

    def __init__(self, target: Stoppable, rng: random.Random) -> None:
        self._target = target
        self._rng = rng
        self.wrong: list[str] = []
        self.seen: Counter[str] = Counter()
        self.stopping_s = 0.0

    async def run(self) -> None:
        """Submit, stop, restart, wait for every end."""
        async with httpx.AsyncClient(base_url=self._target.url, timeout=PATIENCE_S) as client:
            jobs = [await self._submit(client, number) for number in range(JOBS)]
            callers = [asyncio.create_task(self._call(client)), asyncio.create_task(self._follow(client, jobs[0]))]
            await asyncio.sleep(self._rng.uniform(0.1, JOB_S))
            ended_before = {job for job in jobs if await self._status(client, job) == "completed"}
            began = time.monotonic()
            await asyncio.to_thread(self._target.terminate)
            self.stopping_s = time.monotonic() - began
            await asyncio.gather(*callers)
        await asyncio.to_thread(self._target.start)
        async with httpx.AsyncClient(base_url=self._target.url, timeout=PATIENCE_S) as client:
            for job in jobs:
                await self._see_its_end(client, job)
        self.seen["completed before"] += len(ended_before)

    async def _submit(self, client: httpx.AsyncClient, number: int) -> str:
        body = _request(f"blue car number {number}", seed=number)
        answer = await client.post("/api/v1/generate/async", json=body)
        answer.raise_for_status()
        return str(answer.json()["job_id"])

    async def _status(self, client: httpx.AsyncClient, job: str) -> str:
        return str((await client.get(f"/api/v1/status/{job}")).json()["status"])

    async def _call(self, client: httpx.AsyncClient) -> None:
        """A synchronous caller is served, or told to come again."""
        try:
            answer = await client.post("/api/v1/generate", json=_request("red car", seed=99))
        except httpx.TransportError as error:
            self.wrong.append(f"the synchronous caller got {error!r}")
            return
        self.seen[f"sync {answer.status_code}"] += 1
        if answer.status_code == 200:
            return
        if answer.status_code != 503 or answer.json()["error"]["code"] != "NOT_READY":
            self.wrong.append(f"the synchronous caller got {answer.status_code} {answer.text}")
        elif "Retry-After" not in answer.headers:
            self.wrong.append("the synchronous caller's 503 has no Retry-After")

    async def _follow(self, client: httpx.AsyncClient, job: str) -> None:
        """A stream ends with an event."""
        text = ""
        try:
            async with client.stream("GET", f"/api/v1/jobs/{job}/events") as stream:
                async for piece in stream.aiter_text():
                    text += piece
        except httpx.TransportError as error:
            self.wrong.append(f"the event stream was cut: {error!r}")
            return
        name, data = _last_event(text)
        if name == "error" and data["error"]["code"] == "NOT_READY":
            self.seen["stream told to come again"] += 1
        elif data.get("status") == "completed":
            self.seen["stream completed"] += 1
        else:
            self.wrong.append(f"the event stream ended with {name} {data}")

    async def _see_its_end(self, client: httpx.AsyncClient, job: str) -> None:
        deadline = time.monotonic() + END_LIMIT_S
        while (document := (await client.get(f"/api/v1/status/{job}")).json())["status"] in ("pending", "processing"):
            if time.monotonic() > deadline:
                self.wrong.append(f"job {job} is still {document['status']}")
                return
            await asyncio.sleep(0.1)
        if document["status"] != "completed" or document["attempt"] != 1:
            self.wrong.append(f"job {job}: {document['status']}, attempt {document['attempt']}: {document['error']}")
        stream = (await client.get(f"/api/v1/jobs/{job}/events")).text
        if (times := stream.count('"status": "completed"')) != 1:
            self.wrong.append(f"job {job} completed {times} times")


def _last_event(text: str) -> tuple[str, dict[str, Any]]:
    events = [event for event in text.replace("\r\n", "\n").split("\n\n") if event.strip() and event[0] != ":"]
    fields = dict(line.split(": ", 1) for line in events[-1].splitlines())
    return fields["event"], json.loads(fields["data"])


def _request(prompt: str, *, seed: int) -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.frombytes("RGB", (256, 256), random.Random(1).randbytes(256 * 256 * 3)).save(buffer, "PNG")
    image = base64.b64encode(buffer.getvalue()).decode()
    return {"base_image": image, "prompt": prompt, "config": {"num_inference_steps": 40, "seed": seed}}


def _target(mode: str, folder: Path) -> Stoppable:
    settings = {
        "COMPOSITION_QUEUE__MAX_ATTEMPTS": "1",
        "COMPOSITION_QUEUE__SHUTDOWN_GRACE_S": os.environ.get("STOP_GRACE_S", str(GRACE_S)),
        "COMPOSITION_QUEUE__LEASE_S": "5",
        "COMPOSITION_LIMITS__REQUEST_TIMEOUT_SECONDS": str(PATIENCE_S),
    }
    if mode == "celery":
        return DistributedService(folder, backend="celery", job_s=JOB_S, settings=settings)
    own = {"COMPOSITION_STORAGE__FOLDER": str(folder), "COMPOSITION_MODELS__PROFILE": "tiny"}
    return EmbeddedService(folder, settings={**settings, **own})


def run(mode: str, *, runs: int, seed: int) -> bool:
    """Whether every run held; one line each."""
    rng, held = random.Random(seed), True
    with tempfile.TemporaryDirectory(prefix="stop-") as folder:
        target = _target(mode, Path(folder))
        try:
            target.start()
            for number in range(runs):
                one = StopRun(target, rng)
                try:
                    asyncio.run(one.run())
                except subprocess.TimeoutExpired:
                    one.wrong.append(f"it had not stopped after {STOP_LIMIT_S:g} s")
                    number = runs
                for line in one.wrong:
                    print(f"  WRONG {line}")
                print(f"  {mode} {number + 1}: stopped in {one.stopping_s:.1f} s; {dict(one.seen)}", flush=True)
                held = held and not one.wrong
                if number == runs:
                    break
        finally:
            target.stop()
            if not held:
                for log in sorted(Path(folder).glob("*.log")):
                    print(f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-60:], sep="\n")
    print(f"stop {mode}: {'held' if held else 'DID NOT HOLD'}", flush=True)
    return held


def main() -> int:
    """Exit status 0 when everything held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=[*MODES, "both"], default="both")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    modes = MODES if options.mode == "both" else (options.mode,)
    held = [run(mode, runs=options.runs, seed=options.seed) for mode in modes]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
