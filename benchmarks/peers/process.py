"""A server's processes, from outside: started, waited for, weighed, killed."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType

import httpx
import psutil

from benchmarks.footprint import MB
from benchmarks.peers.adapters import Peer, PeerFailed, own_environment
from benchmarks.server import end_family, family_of, free_port, kill_all

HEALTHY_LIMIT_S = 600.0
SAMPLE_S = 0.5


class PeerProcess:
    """One start of a server after the other, on one port, each with what the last one left on the disk."""

    def __init__(self, peer: Peer, folder: Path) -> None:
        self._peer, self._folder, self._port = peer, folder, free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"
        self.started_at = 0.0
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "serve.log"

    def start(self) -> None:
        """Raises: PeerFailed: it cannot be started."""
        launch = self._peer.launch(self._port, self._folder)
        self.started_at = time.monotonic()
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    launch.command,
                    cwd=launch.cwd,
                    env=own_environment(launch),
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise PeerFailed(f"{launch.command[0]} does not start: {error}") from error

    def wait_until_healthy(self, limit_s: float = HEALTHY_LIMIT_S) -> float:
        """Seconds since its start. Raises: PeerFailed: it ended, or took longer; with its last words."""
        assert self._process is not None
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while (passed := time.monotonic() - self.started_at) < limit_s:
                if self._process.poll() is not None:
                    status = self._process.returncode
                    raise PeerFailed(f"it ended with {status} before it was healthy: {self._last_words()}")
                try:
                    if client.get(self._peer.health_path).is_success:
                        return time.monotonic() - self.started_at
                except httpx.TransportError:
                    pass
                time.sleep(0.1)
        raise PeerFailed(f"not healthy after {passed:.0f} s: {self._last_words()}")

    def memory_mb(self) -> float:
        """Of all its processes, pages that they share counted once (proportional set size)."""
        total = 0.0
        for member in family_of(self._process) if self._process is not None else ():
            try:
                total += member.memory_full_info().pss / MB
            except psutil.Error:
                continue  # it has ended meanwhile
        return total

    def kill(self) -> None:
        """SIGKILL to all its processes at once."""
        if self._process is not None:
            kill_all(family_of(self._process))
            self._process.wait()

    def stop(self) -> None:
        """See `end_family`."""
        if self._process is not None:
            process, self._process = self._process, None
            end_family(process)

    def _last_words(self) -> str:
        lines = [line.strip() for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1][:300] if lines else "it said nothing"


class PeakMemory:
    """The most that a server held while this was entered."""

    def __init__(self, process: PeerProcess) -> None:
        self._process, self._ended = process, threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak-memory", daemon=True)
        self.mb = 0.0

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.mb = max(self.mb, self._process.memory_mb())
            if self._ended.wait(SAMPLE_S):
                return
