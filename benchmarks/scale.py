"""`make scale-test`: many machines played by one, with the shipped proxy and Redis; processes are killed, jobs are not.

    python -m benchmarks.scale                       an unpacked Bento of the tiny models: 200 jobs
    python -m benchmarks.scale --stand-in            models that only take time, from the source; a minute
    python -m benchmarks.scale --jobs 40

nginx with deploy/nginx/nginx.conf, two API nodes, Redis with deploy/k8s/redis/redis.conf, three workers. While the jobs
run, SIGKILL takes an API node, a worker and Redis, which comes back with its file. Every job must complete, once, and
its image be there. Figures go to out/scale.json.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from benchmarks import packing
from benchmarks.chaos_targets import Child, redis_command
from benchmarks.server import ROOT, free_port

DEPLOY = ROOT / "deploy"
API_NODES, WORKERS = 2, 3
START_LIMIT_S, END_LIMIT_S = 1800.0, 7200.0
POLL_S = 0.25
AWAY_S = 2.0
EDITS = ("blue car", "car with these sport rims", "person wearing this jacket", "table with marble texture")
STRIKES = ("api-1", "worker-2", "redis")
OUT = Path("out/scale.json")


class Fleet:
    """Every process by its name, each started again as it was."""

    def __init__(self, folder: Path, *, source: Path, stand_in: bool) -> None:
        proxy_port, redis_port = free_port(), free_port()
        ports = [free_port() for _ in range(API_NODES)]
        self.url = f"http://127.0.0.1:{proxy_port}"
        environment = {
            "COMPOSITION_QUEUE__BACKEND": "celery",
            "COMPOSITION_QUEUE__REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "COMPOSITION_QUEUE__LEASE_S": "5",
            "COMPOSITION_QUEUE__MAX_ATTEMPTS": "2",
            "COMPOSITION_LIMITS__REQUEST_TIMEOUT_SECONDS": "1800",
            "COMPOSITION_QUEUE__VISIBILITY_TIMEOUT_S": "3600",
            "COMPOSITION_STORAGE__FOLDER": str(folder / "state"),
            "CHAOS_JOB_S": "1.0",
            "BENTOML_DO_NOT_TRACK": "True",
            "HF_HUB_OFFLINE": "1",
        }
        shipped = (DEPLOY / "k8s" / "redis" / "redis.conf").read_text(encoding="utf-8")
        (folder / "redis.conf").write_text(shipped.replace("dir /data", f"dir {folder}"), encoding="utf-8")
        program = redis_command(redis_port, folder)[0]
        redis = [program, str(folder / "redis.conf"), "--port", str(redis_port), "--bind", "127.0.0.1"]
        self._processes = {"redis": Child("redis", redis, {}, folder / "redis.log")}
        for number, port in enumerate(ports, 1):
            serve = [*packing.BENTOML, "serve", str(source.parent), "--host", "127.0.0.1", "--port", str(port)]
            if stand_in:
                serve = [sys.executable, "-m", "benchmarks.chaos_stand_in", "front", str(port), "0"]
            own = {**environment, "BENTOML_RESULT_STORE": str(folder / f"tasks-{number}.sqlite3")}
            self._add(f"api-{number}", serve, own, folder, source)
        for number in range(1, WORKERS + 1):
            application = "benchmarks.chaos_worker" if stand_in else "worker"
            work = [sys.executable, "-m", "celery", "-A", application, "worker", "-l", "WARNING", "-n", f"w{number}"]
            self._add(f"worker-{number}", work, environment, folder, source)
        nginx = proxy_configuration(folder / "nginx", port=proxy_port, nodes=ports)
        command = ["nginx", "-c", str(nginx), "-g", "daemon off;"]
        self._add("proxy", command, {}, folder, source)

    def _add(self, name: str, command: list[str], environment: dict[str, str], folder: Path, source: Path) -> None:
        self._processes[name] = Child(name, command, environment, folder / f"{name}.log", source=source)

    def start(self) -> None:
        """All of them; whoever comes too early tries again."""
        for process in self._processes.values():
            process.start()

    def kill(self, name: str) -> None:
        """SIGKILL it and what it started."""
        self._processes[name].kill()

    def start_again(self, name: str) -> None:
        """Over the same files."""
        self._processes[name].start()

    def stop(self) -> None:
        """End all of it."""
        for process in reversed(self._processes.values()):
            process.kill()


def proxy_configuration(folder: Path, *, port: int, nodes: list[int]) -> Path:
    """The shipped one, on another port, in front of nodes of this machine; the main file."""
    folder.mkdir(parents=True)
    shipped = (DEPLOY / "nginx" / "nginx.conf").read_text(encoding="utf-8")
    text, changed = re.subn(r"listen 8080;", f"listen 127.0.0.1:{port};", shipped)
    assert changed == 1
    # Files of its own: several of them may run on one machine.
    text = text.replace("/tmp/nginx", f"{folder}/nginx")  # noqa: S108
    servers = "\n".join(f"    server 127.0.0.1:{node} max_fails=3 fail_timeout=2s;" for node in nodes)
    (folder / "nodes.conf").write_text(f"upstream composition {{\n{servers}\n    keepalive 32;\n}}\n", encoding="utf-8")
    main = folder / "nginx.conf"
    main.write_text(text, encoding="utf-8")
    return main


@dataclass
class Account:
    """What the client saw.

    Attributes:
        jobs: job id by number.
        ended: final status document by job id.
        repeated: submissions that had to be sent again.
        strikes: who was killed, when so many had completed.
        wrong: must stay empty.
    """

    jobs: dict[int, str] = field(default_factory=dict)
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)
    repeated: int = 0
    strikes: list[tuple[str, int]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class ScaleRun:
    """Submits, strikes, waits, looks."""

    def __init__(self, fleet: Fleet, *, jobs: int) -> None:
        self._fleet = fleet
        self._jobs = jobs
        self._images = [image_of_side(side) for side in (256, 320, 384)]
        self.account = Account()

    async def run(self) -> None:
        """Fills the account."""
        async with httpx.AsyncClient(base_url=self._fleet.url, timeout=60) as client:
            await self._healthy(client)
            submitting = asyncio.create_task(self._submit_all(client))
            striking = asyncio.create_task(self._strike())
            deadline = time.monotonic() + END_LIMIT_S
            while len(self.account.ended) < self._jobs or not striking.done():
                if time.monotonic() > deadline:
                    self.account.wrong.append(f"{self._jobs - len(self.account.ended)} jobs have not ended in time")
                    break
                await self._poll(client)
                await asyncio.sleep(POLL_S)
            await asyncio.gather(submitting, striking)
            for number, job in sorted(self.account.jobs.items()):
                await self._look_back(client, number, job)

    async def _healthy(self, client: httpx.AsyncClient) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            answer = await _got(client, "/api/v1/health")
            if answer is not None and answer.json().get("workers", WORKERS) >= 1:
                return
            await asyncio.sleep(POLL_S)
        raise RuntimeError("the fleet is not healthy")

    async def _submit_all(self, client: httpx.AsyncClient) -> None:
        for number in range(self._jobs):
            self.account.jobs[number] = await self._submit(client, number)

    async def _submit(self, client: httpx.AsyncClient, number: int) -> str:
        """A client that repeats what was not answered, under one idempotency key."""
        body: dict[str, Any] = {
            "base_image": self._images[number % len(self._images)],
            "prompt": EDITS[number % len(EDITS)],
            "config": {"num_inference_steps": 2 + number % 5, "seed": number},
        }
        if number % len(EDITS):
            body["reference_image"] = self._images[0]
        while True:
            try:
                answer = await client.post(
                    "/api/v1/generate/async", json=body, headers={"Idempotency-Key": f"scale-{number}"}
                )
                if answer.status_code == 200:
                    return str(answer.json()["job_id"])
                if answer.status_code not in (429, 503):
                    self.account.wrong.append(f"submission {number}: {answer.status_code} {answer.text[:200]}")
            except httpx.TransportError:
                pass
            self.account.repeated += 1
            await asyncio.sleep(POLL_S)

    async def _strike(self) -> None:
        for turn, name in enumerate(STRIKES, 1):
            due = turn * self._jobs // (len(STRIKES) + 1)
            while len(self.account.ended) < due:  # noqa: ASYNC110  others fill the account
                await asyncio.sleep(POLL_S)
            await asyncio.to_thread(self._fleet.kill, name)
            self.account.strikes.append((name, len(self.account.ended)))
            print(f"  kill -9 {name}; {len(self.account.ended)} of {self._jobs} completed", flush=True)
            await asyncio.sleep(AWAY_S)
            await asyncio.to_thread(self._fleet.start_again, name)

    async def _poll(self, client: httpx.AsyncClient) -> None:
        for job in [job for job in self.account.jobs.values() if job not in self.account.ended]:
            answer = await _got(client, f"/api/v1/status/{job}", wrong=self.account.wrong)
            if answer is None:
                return
            document = answer.json()
            if document["status"] not in ("pending", "processing"):
                self.account.ended[job] = document

    async def _look_back(self, client: httpx.AsyncClient, number: int, job: str) -> None:
        document = self.account.ended.get(job, {})
        if document.get("status") != "completed":
            self.account.wrong.append(f"job {number}: {document.get('status')} {document.get('error')}")
            return
        stream = (await client.get(f"/api/v1/jobs/{job}/events")).text
        if (times := stream.count('"status": "completed"')) != 1:
            self.account.wrong.append(f"job {number} completed {times} times")
        image = await client.get(f"/api/v1/jobs/{job}/image")
        if image.status_code != 200 or not image.content:
            self.account.wrong.append(f"job {number}: its image answers {image.status_code}")


async def _got(client: httpx.AsyncClient, path: str, wrong: list[str] | None = None) -> httpx.Response | None:
    """An answer that counts; None while something is away."""
    try:
        answer = await client.get(path)
    except httpx.TransportError:
        return None
    if answer.status_code != 200 and answer.status_code != 503 and wrong is not None:
        wrong.append(f"{path}: {answer.status_code} {answer.text[:200]}")
    return answer if answer.status_code == 200 else None


def image_of_side(side: int) -> str:
    buffer = io.BytesIO()
    Image.frombytes("RGB", (side, side), random.Random(side).randbytes(side * side * 3)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _bento_source(folder: Path) -> Path:
    """The source folder of an unpacked Bento of the tiny models."""
    tag = packing.build_bento("tiny", f"scale-{random.randrange(1 << 32):08x}")
    try:
        packing.export_bento(tag, folder / "composition.bento")
    finally:
        packing.delete_bento(tag)
    return packing.unpack_bento(folder / "composition.bento", folder / "bento") / "src"


def main() -> int:
    """Exit status 0 when every job completed once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--stand-in", action="store_true", help="models that only take time")
    options = parser.parse_args()
    if shutil.which("nginx") is None:
        parser.error("nginx is not installed: it is the distribution's package nginx-light")
    with tempfile.TemporaryDirectory(prefix="scale-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx' own processes run as another user
        source = ROOT if options.stand_in else _bento_source(folder)
        fleet = Fleet(folder, source=source, stand_in=options.stand_in)
        run = ScaleRun(fleet, jobs=options.jobs)
        began = time.monotonic()
        try:
            fleet.start()
            asyncio.run(run.run())
        finally:
            fleet.stop()
            if run.account.wrong or len(run.account.ended) < options.jobs:
                for log in sorted(folder.glob("*.log")):
                    print(f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-15:], sep="\n")
    account = run.account
    once = sum(document["status"] == "completed" for document in account.ended.values())
    attempts = Counter(document.get("attempt") for document in account.ended.values())
    figures = {
        "jobs": options.jobs,
        "completed": once,
        "stand_in": options.stand_in,
        "attempts": {str(k): v for k, v in sorted(attempts.items())},
        "submissions_repeated": account.repeated,
        "killed": account.strikes,
        "took_s": round(time.monotonic() - began, 1),
        "wrong": account.wrong,
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    for line in account.wrong[:20]:
        print(f"  WRONG {line}")
    print(f"scale: {once}/{options.jobs} once, jobs by attempts {figures['attempts']}, killed {account.strikes}; {OUT}")
    return 0 if once == options.jobs and not account.wrong else 1


if __name__ == "__main__":
    sys.exit(main())
