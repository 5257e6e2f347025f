"""What is measured of a server, in the order in which it can be: the kill comes last."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.peers.adapters import Peer, PeerFailed
from benchmarks.peers.edit import Edit, changed_outside, make_edit
from benchmarks.peers.process import PeakMemory, PeerProcess
from benchmarks.report_files import Row

PATIENCE_S = 600.0
LONG = 5
"""A long edit has so many times the steps of a short one."""
LEFT_BEHIND = 3
"""Edits that are with the server when it is killed."""
AT_ONCE = (4, 8)
MEASURES = ("at-once", "during-long", "left", "kill")
"""What can be left out; the edit alone is measured always, since the others are told in its time."""
COLUMNS = (
    "server", "healthy, s", "first answer, s", "alone, s", "same photo again, of alone",
    "4 at once, s", "first of 4, s", "8 at once, s", "failed at once", "short during long, of alone", "memory, MB",
    "changed outside, %", "changed far outside, %", "after a client left, of alone", "answered of 3 after kill -9",
    "note",
)  # fmt: skip
_FAILURES = (PeerFailed, httpx.HTTPError, ValueError, KeyError)


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is measured: the edits' side and steps, how often the single ones are repeated, and what else.

    Attributes:
        at_once: some of `AT_ONCE`.
        measures: some of `MEASURES`; the columns of the others stay empty.
    """

    side_px: int
    steps: int
    rounds: int
    at_once: Sequence[int] = AT_ONCE
    measures: Sequence[str] = MEASURES


class PeerBench:
    """Measures one server; what does not work is a note of its row and leaves the others their columns."""

    def __init__(self, peer: Peer, effort: Effort, folder: Path) -> None:
        self._peer, self._effort = peer, effort
        self._process = PeerProcess(peer, folder)
        self._numbers = itertools.count(1)
        self._row: dict[str, Any] = dict.fromkeys(COLUMNS)
        self._notes: list[str] = []

    def run(self) -> Row:
        """Start the server, measure, stop it; a row with all of `COLUMNS`."""
        self._row["server"] = self._peer.name
        try:
            with PeakMemory(self._process) as memory:
                self._try("start", self._start)
                if self._row["first answer, s"] is not None:
                    self._try("alone", self._alone)
                self._measure("at-once", "at once", self._at_once)
                self._measure("during-long", "short during long", self._short_during_long)
            if self._row["first answer, s"] is not None:
                self._row["memory, MB"] = memory.mb
            self._measure("left", "a client that leaves", self._left)
            self._measure("kill", "kill -9", self._killed)
        finally:
            self._process.stop()
        self._row["note"] = "; ".join(self._notes) or None
        return self._row

    def _measure(self, name: str, what: str, measure: Callable[[], None]) -> None:
        if name in self._effort.measures and self._row["alone, s"] is not None:
            self._try(what, measure)

    def _try(self, what: str, measure: Callable[[], None]) -> None:
        try:
            measure()
        except _FAILURES as error:
            self._notes.append(f"{what}: {str(error) or type(error).__name__}")

    def _start(self) -> None:
        self._process.start()
        self._row["healthy, s"] = self._process.wait_until_healthy()
        self._paint(self._edit())
        self._row["first answer, s"] = time.monotonic() - self._process.started_at

    def _alone(self) -> None:
        first, again = [], []
        for _ in range(self._effort.rounds):
            edit = self._edit()
            painted, taken = self._paint(edit)
            first.append(taken)
            again.append(self._paint(edit.again(seed=edit.seed + 1_000_000))[1])
        self._row["alone, s"] = statistics.median(first)
        self._row["same photo again, of alone"] = statistics.median(again) / self._row["alone, s"]
        outside, far = changed_outside(edit, painted)
        self._row["changed outside, %"], self._row["changed far outside, %"] = 100 * outside, 100 * far

    def _at_once(self) -> None:
        failed = 0
        for count in self._effort.at_once:
            begun = time.monotonic()
            with ThreadPoolExecutor(count) as pool:
                futures = [pool.submit(self._ended, self._edit()) for _ in range(count)]
            ends = [future.result() for future in futures if future.exception() is None]
            failed += self._note_failed(f"{count} at once", futures)
            if ends:
                self._row[f"{count} at once, s"] = max(ends) - begun
                if count == 4:
                    self._row["first of 4, s"] = min(ends) - begun
        self._row["failed at once"] = f"{failed} of {sum(self._effort.at_once)}"

    def _note_failed(self, what: str, futures: list[Future[float]]) -> int:
        errors = [error for future in futures if (error := future.exception()) is not None]
        for error in errors:
            if not isinstance(error, _FAILURES):
                raise error
        if errors:
            self._notes.append(f"{what}: {len(errors)} failed, the first with {errors[0]}")
        return len(errors)

    def _short_during_long(self) -> None:
        with ThreadPoolExecutor(1) as pool:
            long = pool.submit(self._paint, self._edit(steps=LONG * self._effort.steps))
            time.sleep(self._row["alone, s"] / 2)
            taken = self._paint(self._edit())[1]
            long.result()
        self._row["short during long, of alone"] = taken / self._row["alone, s"]

    def _left(self) -> None:
        """A client hangs up in the middle of a long edit; how much longer the next one takes than alone."""
        leaves_after_s = self._row["alone, s"] / 2
        try:
            with httpx.Client(base_url=self._process.url, timeout=httpx.Timeout(30, read=leaves_after_s)) as client:
                self._peer.paint(client, self._edit(steps=LONG * self._effort.steps))
        except httpx.ReadTimeout:
            pass
        else:
            raise PeerFailed("the long edit was done before its client could leave")
        self._row["after a client left, of alone"] = self._paint(self._edit())[1] / self._row["alone, s"]

    def _killed(self) -> None:
        """Edits are left with the server, it is killed and started again: how many images there are in the end."""
        edits = [self._edit(steps=LONG * self._effort.steps) for _ in range(LEFT_BEHIND)]
        with httpx.Client(base_url=self._process.url, timeout=PATIENCE_S) as client:
            tickets = [self._peer.submit(client, edit) for edit in edits]
        answered = [0]
        if None in tickets:
            answered = self._killed_while_they_wait(edits)
        else:
            time.sleep(self._row["alone, s"] / 2)
            self._process.kill()
        self._process.start()
        self._process.wait_until_healthy()
        with httpx.Client(base_url=self._process.url, timeout=PATIENCE_S) as client:
            answered += [self._is_there(client, ticket) for ticket in tickets if ticket is not None]
        self._row["answered of 3 after kill -9"] = str(sum(answered))

    def _killed_while_they_wait(self, edits: list[Edit]) -> list[int]:
        with ThreadPoolExecutor(len(edits)) as pool:
            futures = [pool.submit(self._paint, edit) for edit in edits]
            wait(futures, timeout=self._row["alone, s"] / 2)
            self._process.kill()
        return [int(future.exception() is None) for future in futures]

    def _is_there(self, client: httpx.Client, ticket: str) -> int:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                if self._peer.fetch(client, ticket) is not None:
                    return 1
            except _FAILURES as error:
                self._notes.append(f"kill -9: {error}")
                return 0
            time.sleep(0.1)
        self._notes.append(f"kill -9: not answered within {PATIENCE_S:.0f} s")
        return 0

    def _ended(self, edit: Edit) -> float:
        self._paint(edit)
        return time.monotonic()

    def _paint(self, edit: Edit) -> tuple[Any, float]:
        """The image, and the seconds that it took."""
        begun = time.monotonic()
        with httpx.Client(base_url=self._process.url, timeout=PATIENCE_S) as client:
            painted = self._peer.paint(client, edit)
        return painted, time.monotonic() - begun

    def _edit(self, *, steps: int | None = None) -> Edit:
        return make_edit(next(self._numbers), side_px=self._effort.side_px, steps=steps or self._effort.steps)
