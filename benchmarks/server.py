"""A `bentoml serve` of this repository as a child process, for the demo, the tests and the benchmarks."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parent.parent
STOP_GRACE_S = 20.0
START_LIMIT_S = 600.0
"""A server that cannot start ends by itself; one that is slow shares its machine with others, which is no fault."""


def free_port() -> int:
    """A TCP port on loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def family_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The process, while it runs, with all its descendants: BentoML starts its workers in sessions of their own."""
    if process.poll() is not None:
        return []
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def kill_all(family: Sequence[psutil.Process]) -> None:
    """SIGKILL those that are still there, and wait until they are not."""
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(family)


def end_family(process: subprocess.Popen[bytes]) -> None:
    """SIGINT, as Ctrl-C does; SIGKILL for what is left of it and its descendants after the grace time."""
    family = family_of(process)
    try:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_GRACE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        kill_all(family)
        process.wait()


class Server:
    """`bentoml serve service:ImageComposition` on 127.0.0.1, stopped with everything it started on exit.

    Its jobs live beside its log, so that servers of one checkout do not meet.
    """

    def __init__(
        self,
        *,
        port: int,
        log: Path,
        environment: Mapping[str, str] | None = None,
        command_prefix: Sequence[str] = (),
    ) -> None:
        """`command_prefix` is a command that ends by executing its arguments."""
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._log = log
        self._environment = dict(environment or {})
        self._command_prefix = command_prefix
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        state = self._log.with_suffix(".state")
        defaults = {
            "HF_HUB_OFFLINE": "1",
            "BENTOML_DO_NOT_TRACK": "True",
        }
        own = {"COMPOSITION_STORAGE__FOLDER": str(state)}
        state.mkdir(parents=True, exist_ok=True)
        command = [
            *self._command_prefix,
            *(sys.executable, "-m", "bentoml", "serve", "service:ImageComposition"),
            *("--host", "127.0.0.1", "--port", str(self._port)),
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**defaults, **os.environ, **own, **self._environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    @property
    def pid(self) -> int:
        """The supervisor's process id (and process group)."""
        assert self._process is not None
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """Of the supervisor; None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def wait_until_healthy(self, *, timeout_s: float = START_LIMIT_S) -> dict[str, Any]:
        """Poll /api/v1/health until the models are loaded; its body.

        Raises:
            RuntimeError: the server ended, or was not healthy in time; with the end of its log.
        """
        deadline = time.monotonic() + timeout_s
        with httpx.Client(timeout=30) as client:  # one: to make a client takes longer than to ask
            while time.monotonic() < deadline:
                if self._process is not None and self._process.poll() is not None:
                    break
                try:
                    answer = client.get(f"{self.url}/api/v1/health")
                    if answer.status_code == 200 and answer.json()["status"] == "healthy":
                        body: dict[str, Any] = answer.json()
                        return body
                except (httpx.TransportError, ValueError, KeyError):
                    pass
                time.sleep(0.2)
        raise RuntimeError(f"the server is not healthy; the end of {self._log}:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-40:])

    def wait_until_ended(self, *, timeout_s: float) -> None:
        """Wait for the end that a server makes by itself.

        Raises:
            RuntimeError: it has ended, with the end of its log.
            TimeoutExpired: it has not.
        """
        assert self._process is not None
        self._process.wait(timeout_s)
        raise RuntimeError(f"the server has ended; the end of {self._log}:\n{self._log_tail()}")

    def stop(self) -> None:
        """See `end_family`."""
        if self._process is not None:
            process, self._process = self._process, None
            end_family(process)

    def kill(self) -> None:
        """SIGKILL it with all that it started, as a crash of the machine ends it."""
        if self._process is not None:
            process, self._process = self._process, None
            kill_all(family_of(process))
            process.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
