"""`make upgrade-test`: the queue that an older version's nodes filled goes on when newer ones take their place.

    python -m benchmarks.upgrade [--from REVISION, else the last tag]

The older revision's nodes serve and work; 3 of its 23 jobs run and 20 wait. A worker of this tree joins, the old one is
told to stop, an API node of this tree takes over the store: every job must complete, once. Models only take time;
store, queue, protocol and nodes are each version's own. Figures go to out/upgrade.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from benchmarks.chaos_targets import Child, redis_command, wait_until_it_answers
from benchmarks.scale import image_of_side
from benchmarks.server import ROOT, free_port

RUNNING, PENDING = 3, 20
JOB_S = 6.0
LIMIT_S = 1800.0
OUT = Path("out/upgrade.json")


class Upgrade:
    """One run; `wrong` must stay empty."""

    def __init__(self, folder: Path, old: Path) -> None:
        self._old_port, self._new_port, redis_port = free_port(), free_port(), free_port()
        environment = {
            "COMPOSITION_QUEUE__BACKEND": "celery",
            "COMPOSITION_QUEUE__REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "COMPOSITION_QUEUE__SHUTDOWN_GRACE_S": "2",
            "COMPOSITION_QUEUE__MAX_ATTEMPTS": "1",
            "COMPOSITION_LIMITS__MAX_CONCURRENT_REQUESTS": str(RUNNING),
            "COMPOSITION_STORAGE__FOLDER": str(folder / "state"),
            "CHAOS_JOB_S": str(JOB_S),
        }
        self._redis = Child("redis", redis_command(redis_port, folder), {}, folder / "redis.log")

        def child(name: str, tree: Path, *command: str) -> Child:
            return Child(name, [sys.executable, "-m", *command], environment, folder / f"{name}.log", source=tree)

        worker = ("celery", "-A", "benchmarks.chaos_worker", "worker", "-l", "WARNING", "-n")
        front = ("benchmarks.chaos_stand_in", "front")
        self._old_api = child("old-api", old, *front, str(self._old_port), "0")
        self._old_worker = child("old-worker", old, *worker, "old")
        self._new_api = child("new-api", ROOT, *front, str(self._new_port), "0")
        self._new_worker = child("new-worker", ROOT, *worker, "new")
        self.wrong: list[str] = []
        self.before: Counter[str] = Counter()
        self.handed_over = 0
        self.attempts: Counter[int] = Counter()

    async def run(self) -> None:
        """Fill the old queue, replace everybody, wait for every end."""
        for process in (self._redis, self._old_api):
            await asyncio.to_thread(process.start)
        await _answers(self._url(self._old_port))
        async with httpx.AsyncClient(base_url=self._url(self._old_port), timeout=60) as client:
            jobs = [await _submit(client, number) for number in range(RUNNING + PENDING)]
            # Not before: how many wait must not hang on how fast they are submitted.
            await asyncio.to_thread(self._old_worker.start)
            while True:
                states = [(await _status(client, job))["status"] for job in jobs]
                if states.count("processing") == RUNNING:
                    break
                await asyncio.sleep(0.1)
            self.before = Counter(states)
        # Workers before API nodes, as docs/deployment-celery.md says.
        await asyncio.to_thread(self._new_worker.start)
        await asyncio.to_thread(self._terminate, self._old_worker)
        await asyncio.to_thread(self._new_api.start)
        await asyncio.to_thread(wait_until_it_answers, self._url(self._new_port), limit_s=LIMIT_S)
        await asyncio.to_thread(self._terminate, self._old_api)
        async with httpx.AsyncClient(base_url=self._url(self._new_port), timeout=60) as client:
            states = [(await _status(client, job))["status"] for job in jobs]
            self.handed_over = len(jobs) - states.count("completed")
            deadline = time.monotonic() + LIMIT_S
            for number, job in enumerate(jobs):
                await self._see_its_end(client, number, job, deadline)

    async def _see_its_end(self, client: httpx.AsyncClient, number: int, job: str, deadline: float) -> None:
        while (document := await _status(client, job))["status"] in ("pending", "processing"):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.2)
        self.attempts[document["attempt"]] += 1
        if document["status"] != "completed" or document["attempt"] != 1:
            self.wrong.append(f"job {number}: {document['status']}, attempt {document['attempt']}, {document['error']}")
        stream = (await client.get(f"/api/v1/jobs/{job}/events")).text
        if (times := stream.count('"status": "completed"')) != 1:
            self.wrong.append(f"job {number} completed {times} times")
        image = await client.get(f"/api/v1/jobs/{job}/image")
        if image.status_code != 200:
            self.wrong.append(f"job {number}: its image answers {image.status_code}")

    def stop(self) -> None:
        """End all of it."""
        for process in (self._new_api, self._new_worker, self._old_api, self._old_worker, self._redis):
            process.kill()

    def _terminate(self, child: Child) -> None:
        assert child.process is not None
        child.process.send_signal(signal.SIGTERM)
        status = child.process.wait(LIMIT_S)
        if status != 0 and child is not self._old_api:  # the stand-in's front has no drain of its own
            self.wrong.append(f"{child.name} ended with {status}")
        child.process = None

    @staticmethod
    def _url(port: int) -> str:
        return f"http://127.0.0.1:{port}"


async def _answers(url: str) -> None:
    """Whatever it says: without a worker it is not healthy."""
    deadline = time.monotonic() + LIMIT_S
    async with httpx.AsyncClient(timeout=5) as client:
        while time.monotonic() < deadline:
            try:
                await client.get(f"{url}/api/v1/health")
                return
            except httpx.TransportError:
                await asyncio.sleep(0.1)
    raise RuntimeError(f"{url} does not answer")


async def _submit(client: httpx.AsyncClient, number: int) -> str:
    body = {"base_image": image_of_side(256), "prompt": f"blue car number {number}", "config": {"seed": number}}
    answer = await client.post("/api/v1/generate/async", json=body)
    answer.raise_for_status()
    return str(answer.json()["job_id"])


async def _status(client: httpx.AsyncClient, job: str) -> dict[str, Any]:
    answer = await client.get(f"/api/v1/status/{job}")
    answer.raise_for_status()
    document: dict[str, Any] = answer.json()
    return document


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
    if done.returncode:
        raise SystemExit(f"error: git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def main() -> int:
    """Exit status 0 when every job completed once, at its first attempt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="revision", help="the older revision; the last tag")
    options = parser.parse_args()
    revision = options.revision or _git("describe", "--tags", "--abbrev=0", "HEAD^")
    with tempfile.TemporaryDirectory(prefix="upgrade-") as name:
        folder, old = Path(name), Path(name) / "old"
        archive = folder / "old.tar"
        _git("archive", "--output", str(archive), revision)
        shutil.unpack_archive(archive, old, filter="data")
        upgrade = Upgrade(folder, old)
        try:
            asyncio.run(upgrade.run())
        finally:
            upgrade.stop()
            if upgrade.wrong or os.environ.get("SHOW_LOGS"):
                for log in sorted(folder.glob("*.log")):
                    print(f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-20:], sep="\n")
    total = RUNNING + PENDING
    figures = {
        "from": _git("rev-parse", "--short=12", revision),
        "to": _git("rev-parse", "--short=12", "HEAD"),
        "before": dict(upgrade.before),
        "left_for_the_new_nodes": upgrade.handed_over,
        "completed_once": total - len(upgrade.wrong),
        "attempts": {str(key): value for key, value in upgrade.attempts.items()},
        "wrong": upgrade.wrong,
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    for line in upgrade.wrong[:20]:
        print(f"  WRONG {line}")
    print(f"upgrade {figures['from']} -> {figures['to']}: {total - len(upgrade.wrong)}/{total} once; {figures}")
    return 1 if upgrade.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
