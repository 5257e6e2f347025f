"""How far a download is: bytes on the disk against what is expected, with the rate and the time left.

source -> **watch** -> a line on the terminal, rewritten; or, where nobody watches, a line now and then.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

GIGABYTE, MEGABYTE = 1_000_000_000, 1_000_000
TERMINAL_INTERVAL_S, LOG_INTERVAL_S = 0.5, 15.0
_WINDOW_S = 20.0
"""Over which the rate is taken: long enough to be steady, short enough to follow the network."""


class Progress:
    """Turns counts of bytes into lines.

    Args:
        total_bytes: what is expected; a guess of the manifest's, so the count may pass it.
        clock: seconds, rising.
    """

    def __init__(self, total_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._clock = max(total_bytes, 1), clock
        self._seen: deque[tuple[float, int]] = deque()

    def line(self, done_bytes: int) -> str:
        """For `done_bytes` that are there now: "3.1 of 9.4 GB (33 %), 45.2 MB/s, 2 min left"."""
        now = self._clock()
        self._seen.append((now, done_bytes))
        while now - self._seen[0][0] > _WINDOW_S:
            self._seen.popleft()
        share = min(100, 100 * done_bytes // self._total)
        text = f"{done_bytes / GIGABYTE:.1f} of {max(self._total, done_bytes) / GIGABYTE:.1f} GB ({share} %)"
        rate = self._rate()
        if not rate:
            return text
        left_s = max(0, self._total - done_bytes) / rate
        return f"{text}, {rate / MEGABYTE:.1f} MB/s, {_duration(left_s)} left"

    def _rate(self) -> float:
        """Bytes per second; what was there before the first look does not count."""
        (start, first), (end, last) = self._seen[0], self._seen[-1]
        return (last - first) / (end - start) if end > start and last > first else 0.0


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def bytes_in(folder: Path) -> int:
    """Of all files that are there now; one that vanishes meanwhile counts nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total


@contextmanager
def watched(name: str, folder: Path, total_bytes: int, stream: TextIO = sys.stderr) -> Iterator[None]:
    """Inside of the block, tell how much of `total_bytes` is in `folder`."""
    progress, ended = Progress(total_bytes), threading.Event()
    terminal = stream.isatty()

    def tell() -> None:
        while not ended.wait(TERMINAL_INTERVAL_S if terminal else LOG_INTERVAL_S):
            line = f"{name}: {progress.line(bytes_in(folder))}"
            stream.write(f"\r\x1b[K{line}" if terminal else f"{line}\n")
            stream.flush()

    progress.line(bytes_in(folder))
    teller = threading.Thread(target=tell, name="progress", daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()
        if terminal:
            stream.write("\r\x1b[K")
