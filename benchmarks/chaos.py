"""Kills processes of the service at random while jobs run, and shows that no job is lost, doubled or reported wrong.

    python -m benchmarks.chaos            both modes, 30 jobs, at least 10 kills each
    python -m benchmarks.chaos --short    8 jobs, 3 kills
    python -m benchmarks.chaos --service  the real service instead of the stand-in (embedded mode)

Models are played by processes that only take time (`benchmarks.chaos_stand_in`); the rest is the product's own.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import io
import json
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from benchmarks.chaos_targets import BentoService, StandIn, Target
from benchmarks.server import free_port

SECRET = "chaos"  # noqa: S105  signs this program's own webhooks
POLL_S = 0.1
END_LIMIT_S = 600.0
MODES = ("embedded", "celery")
RIGHT = frozenset({"pending", "processing", "completed"})


@dataclass
class Watched:
    """What was seen of one job."""

    number: int
    status: str = "pending"
    attempt: int = 0
    progress: float = 0.0
    image: str | None = None


@dataclass
class Account:
    """What the run has shown so far; `wrong` must stay empty."""

    jobs: dict[str, Watched] = field(default_factory=dict)
    kills: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    callbacks: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def completed(self) -> int:
        """How many jobs were seen completed."""
        return sum(job.status == "completed" for job in self.jobs.values())

    def look(self, job_id: str, document: dict[str, Any]) -> None:
        """Compare a status answer with the one before."""
        job, status = self.jobs[job_id], document["status"]
        if status not in RIGHT:
            self.wrong.append(f"job {job.number} is {status}: {document.get('error')}")
            return
        if job.status == "completed" and status != "completed":
            self.wrong.append(f"job {job.number} went from completed to {status}")
        if document["attempt"] < job.attempt:
            self.wrong.append(f"job {job.number} went from attempt {job.attempt} to {document['attempt']}")
        same_attempt = document["attempt"] == job.attempt and status == job.status
        if same_attempt and document["progress"] < job.progress:
            self.wrong.append(f"job {job.number} fell from {job.progress} to {document['progress']}")
        if status == "completed":
            image = hashlib.sha256(document["result"]["image"].encode()).hexdigest()
            if job.image not in (None, image):
                self.wrong.append(f"job {job.number} has two results")
            job.image = image
        job.status, job.attempt, job.progress = status, document["attempt"], document["progress"]


class Receiver:
    """Takes the webhooks; refuses every fourth attempt."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._seen = 0
        self.port = free_port()

    async def start(self) -> asyncio.Server:
        """Listen on 127.0.0.1."""
        return await asyncio.start_server(self._answer, "127.0.0.1", self.port)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            body = await reader.readexactly(int(headers["content-length"]))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            return
        self._seen += 1
        accepted = self._seen % 4 != 0
        if accepted:
            self._note(headers, body)
        status = b"204 No Content" if accepted else b"503 Service Unavailable"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    def _note(self, headers: dict[str, str], body: bytes) -> None:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        digest = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
        document = json.loads(body)
        if headers["webhook-signature"] != f"v1,{digest}":
            self._account.wrong.append("a webhook with a wrong signature")
        if document["type"] != "job.completed":
            self._account.wrong.append(f"a webhook says {document['type']}")
        self._account.callbacks[document["data"]["job_id"]].append(headers["webhook-id"])


class Chaos:
    """One run against one target."""

    def __init__(self, target: Target, *, jobs: int, kills: int, seed: int, pace_s: float) -> None:
        self._target = target
        self._jobs = jobs
        self._kills = kills
        self._pace_s = pace_s
        self._rng = random.Random(seed)
        self.account = Account()
        self._receiver = Receiver(self.account)
        self._image = _image()

    async def run(self) -> None:
        """Submit while killing, then wait for the end of every job and its webhook."""
        server = await self._receiver.start()
        await asyncio.to_thread(self._target.start)
        async with server, httpx.AsyncClient(base_url=self._target.url, timeout=10) as client:
            submitting = asyncio.create_task(self._submit_all(client))
            striking = asyncio.create_task(self._strike())
            deadline = time.monotonic() + END_LIMIT_S
            while not (submitting.done() and striking.done() and self._settled()):
                if time.monotonic() > deadline:
                    self.account.wrong.append("not everything ended in time")
                    break
                await self._poll(client)
                await asyncio.sleep(POLL_S)
            await asyncio.gather(submitting, striking)
            await self._read_streams(client)

    def _settled(self) -> bool:
        return self.account.completed == self._jobs and len(self.account.callbacks) == self._jobs

    async def _submit_all(self, client: httpx.AsyncClient) -> None:
        for number in range(self._jobs):
            job_id = await self._submit(client, number)
            self.account.jobs[job_id] = Watched(number=number)
            await asyncio.sleep(self._rng.uniform(0, 2 * self._pace_s))

    async def _submit(self, client: httpx.AsyncClient, number: int) -> str:
        """A client that repeats what was not answered, under one idempotency key."""
        body = {
            "base_image": self._image,
            "prompt": f"blue car number {number}",
            "callback_url": f"http://127.0.0.1:{self._receiver.port}/hook",
            "config": {"num_inference_steps": 50, "seed": number},
        }
        while True:
            try:
                answer = await client.post(
                    "/api/v1/generate/async", json=body, headers={"Idempotency-Key": f"chaos-{number}"}
                )
                if answer.status_code == 200:
                    return str(answer.json()["job_id"])
                if answer.status_code < 500:
                    raise RuntimeError(f"the submission was refused: {answer.text}")
            except httpx.TransportError:
                pass
            await asyncio.sleep(POLL_S)

    async def _strike(self) -> None:
        while len(self.account.kills) < self._kills:
            await asyncio.sleep(self._rng.uniform(0.2, 2 * self._pace_s * self._jobs / self._kills))
            killed = await asyncio.to_thread(self._target.strike, self._rng)
            self.account.kills.append(killed)
            print(f"  kill {len(self.account.kills)}: {killed}; {self.account.completed} completed", flush=True)

    async def _poll(self, client: httpx.AsyncClient) -> None:
        for job_id in tuple(self.account.jobs):
            try:
                answer = await client.get(f"/api/v1/status/{job_id}")
            except httpx.TransportError:
                return
            if answer.status_code == 200:
                self.account.look(job_id, answer.json())
            elif answer.status_code < 500:
                self.account.wrong.append(f"status of {job_id}: {answer.status_code} {answer.text}")

    async def _read_streams(self, client: httpx.AsyncClient) -> None:
        for job_id, job in self.account.jobs.items():
            stream = (await client.get(f"/api/v1/jobs/{job_id}/events")).text
            data = [json.loads(line.removeprefix("data:")) for line in stream.splitlines() if line.startswith("data:")]
            ends = [entry for entry in data if entry.get("status") == "completed"]
            if len(ends) != 1:
                self.account.wrong.append(f"job {job.number} completed {len(ends)} times")

    def verdict(self, mode: str) -> bool:
        """Print what was shown; whether it is what was promised."""
        account = self.account
        for job_id, ids in account.callbacks.items():
            if len(set(ids)) != 1:
                account.wrong.append(f"job {job_id} has callbacks of {len(set(ids))} ids")
        for line in account.wrong[:20]:
            print(f"  WRONG {line}")
        attempts = Counter(job.attempt for job in account.jobs.values())
        once = sum(
            job.status == "completed" and job.image is not None and len(set(account.callbacks[job_id])) == 1
            for job_id, job in account.jobs.items()
        )
        print(f"  {len(account.kills)} kills: {dict(Counter(account.kills))}")
        callbacks = sum(map(len, account.callbacks.values()))
        print(f"  jobs by attempts: {dict(sorted(attempts.items()))}; {callbacks} callbacks")
        print(f"chaos {mode}: {once}/{self._jobs} once", flush=True)
        return once == self._jobs and not account.wrong and len(account.kills) >= self._kills


def _image() -> str:
    noise = random.Random(1).randbytes(256 * 256 * 3)
    buffer = io.BytesIO()
    Image.frombytes("RGB", (256, 256), noise).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _settings(kills: int) -> dict[str, str]:
    return {
        "COMPOSITION_QUEUE__MAX_ATTEMPTS": str(kills + 10),
        "COMPOSITION_QUEUE__LEASE_S": "3",
        "COMPOSITION_QUEUE__RETRY_DELAY_S": "0.1",
        "COMPOSITION_QUEUE__VISIBILITY_TIMEOUT_S": "61",
        "COMPOSITION_LIMITS__REQUEST_TIMEOUT_SECONDS": "60",
        "COMPOSITION_QUEUE__WEBHOOK_SECRET": SECRET,
        "COMPOSITION_QUEUE__WEBHOOK_ATTEMPTS": "20",
        "COMPOSITION_FETCH__ALLOW_PRIVATE": "true",
    }


def _target(mode: str, folder: Path, options: argparse.Namespace) -> Target:
    settings = _settings(options.kills)
    if options.service:
        return BentoService(folder, settings=settings)
    return StandIn(folder, backend=mode, job_s=options.job_s, settings=settings)


def main() -> int:
    """Exit status 0 when everything held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=[*MODES, "both"], default="both")
    parser.add_argument("--jobs", type=int, default=30)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--job-s", type=float, default=1.5)
    parser.add_argument("--pace-s", type=float, default=1.0, help="mean time between submissions")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--short", action="store_true", help="8 jobs, 3 kills")
    parser.add_argument("--service", action="store_true", help="the real service, embedded mode")
    options = parser.parse_args()
    if options.short:
        options.jobs, options.kills, options.job_s, options.pace_s = 8, 3, 0.5, 0.4
    modes = MODES if options.mode == "both" else (options.mode,)
    if options.service:
        modes = ("embedded",)
    held = True
    for mode in modes:
        print(f"chaos {mode}, seed {options.seed}", flush=True)
        with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            target = _target(mode, Path(folder), options)
            chaos = Chaos(target, jobs=options.jobs, kills=options.kills, seed=options.seed, pace_s=options.pace_s)
            try:
                asyncio.run(chaos.run())
            finally:
                target.stop()
            held = chaos.verdict(mode) and held
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
