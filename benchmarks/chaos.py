"""Kills processes of the service at random while jobs run, and shows that no job is lost, doubled or reported wrong.

    python -m benchmarks.chaos            both modes, 30 jobs, at least 10 kills each
    python -m benchmarks.chaos --short    8 jobs, 3 kills
    python -m benchmarks.chaos --service  the real service instead of the stand-in (embedded mode)

    python -m benchmarks.chaos --cheat unfenced --mode celery    a planted bug, which the run must see

Models are played by processes that only take time (`benchmarks.chaos_stand_in`); the rest is the product's own. Every
attempt marks its image and its account, and some of a Celery worker's stall at their end until they are overtaken: of
several that finish, one's result must be visible, from first to last, and it must be that of the attempt that counts.
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
from collections import Counter
from pathlib import Path

import httpx
from PIL import Image

from benchmarks.chaos_account import Account, Watched
from benchmarks.chaos_cheats import CHEATS
from benchmarks.chaos_journal import Journal
from benchmarks.chaos_stand_in import STALLS
from benchmarks.chaos_targets import BentoService, StandIn, Target
from benchmarks.server import free_port

SECRET = "chaos"  # noqa: S105  signs this program's own webhooks
POLL_S = 0.1
POLLS_AFTER = 10
END_LIMIT_S = 600.0
MODES = ("embedded", "celery")
STALL_EVERY = 4


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
        self._note(headers, body, accepted=accepted)
        status = b"204 No Content" if accepted else b"503 Service Unavailable"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    def _note(self, headers: dict[str, str], body: bytes, *, accepted: bool) -> None:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        digest = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
        if headers["webhook-signature"] != f"v1,{digest}":
            self._account.wrong.append("a webhook with a wrong signature")
        self._account.called_back(headers["webhook-id"], json.loads(body), accepted=accepted)


class Chaos:
    """One run against one target."""

    def __init__(self, target: Target, journal: Journal, *, jobs: int, kills: int, seed: int, pace_s: float) -> None:
        self._target = target
        self._journal = journal
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
            # What is visible must stay so until nobody is left who could change it, and a little longer.
            polls_left = POLLS_AFTER
            while polls_left:
                quiet = submitting.done() and striking.done() and self._settled()
                polls_left = polls_left - 1 if quiet else POLLS_AFTER
                if time.monotonic() > deadline:
                    self.account.wrong.append("not everything ended in time")
                    break
                await self._poll(client)
                await asyncio.sleep(POLL_S)
            await asyncio.gather(submitting, striking)
            await self._read_streams(client)

    def _settled(self) -> bool:
        account = self.account
        ended = account.completed == self._jobs and len(account.callbacks) == self._jobs
        return ended and not any(map(self._journal.alive, account.jobs))

    async def _submit_all(self, client: httpx.AsyncClient) -> None:
        for number in range(self._jobs):
            job_id = await self._submit(client, number)
            self.account.jobs[job_id] = Watched(number=number)
            await asyncio.sleep(self._rng.uniform(0, 2 * self._pace_s))

    async def _submit(self, client: httpx.AsyncClient, number: int) -> str:
        """A client that repeats what was not answered, under one idempotency key."""
        ending = STALLS if number % STALL_EVERY == 1 else ""
        body = {
            "base_image": self._image,
            "prompt": f"blue car number {number}{ending}",
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
        for job_id in self.account.jobs:
            stream = (await client.get(f"/api/v1/jobs/{job_id}/events")).text
            data = [json.loads(line.removeprefix("data:")) for line in stream.splitlines() if line.startswith("data:")]
            self.account.streamed(job_id, data)

    def verdict(self, mode: str) -> bool:
        """Print what was shown; whether it is what was promised."""
        account = self.account
        account.close(self._journal)
        for line in account.wrong[:20]:
            print(f"  WRONG {line}")
        attempts = Counter(job.attempt for job in account.jobs.values())
        once = sum(map(account.once, account.jobs))
        print(f"  {len(account.kills)} kills: {dict(Counter(account.kills))}")
        callbacks = sum(map(len, account.callbacks.values()))
        print(f"  jobs by attempts: {dict(sorted(attempts.items()))}; {callbacks} callbacks")
        print(f"  {account.in_vain} attempts finished in vain: another one's result was published")
        wrong = f", {len(account.wrong)} wrong" if account.wrong else ""
        print(f"chaos {mode}: {once}/{self._jobs} once{wrong}", flush=True)
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


def _target(mode: str, folder: Path, journal: Path, options: argparse.Namespace) -> Target:
    settings = {**_settings(options.kills), "CHAOS_JOURNAL": str(journal), "CHAOS_CHEAT": options.cheat}
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
    parser.add_argument("--cheat", choices=sorted(CHEATS), default="", help="plant a bug that the run must see")
    parser.add_argument("--service", action="store_true", help="the real service, embedded mode")
    options = parser.parse_args()
    if options.short:
        parser.set_defaults(jobs=8, kills=3, job_s=0.5, pace_s=0.4)
        options = parser.parse_args()
    modes = MODES if options.mode == "both" else (options.mode,)
    if options.service:
        modes = ("embedded",)
    held = True
    for mode in modes:
        print(f"chaos {mode}, seed {options.seed}", flush=True)
        with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            journal = Path(folder) / "attempts"
            journal.mkdir()
            target = _target(mode, Path(folder), journal, options)
            chaos = Chaos(
                target,
                Journal(journal),
                jobs=options.jobs,
                kills=options.kills,
                seed=options.seed,
                pace_s=options.pace_s,
            )
            try:
                asyncio.run(chaos.run())
            finally:
                target.stop()
            held = chaos.verdict(mode) and held
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
