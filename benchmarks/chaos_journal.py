"""What every attempt of a chaos run did, written down by the attempts themselves, beside the product's own store.

The store says which attempt's result was published; the journal says which attempts there were.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

BEGUN, DONE, STOPPED = "begun", "done", "stopped"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One attempt, unlike any other; part of its image and of its account."""

    job_id: str
    attempt: int
    worker: int
    nonce: str

    @classmethod
    def new(cls, job_id: str, attempt: int) -> Mark:
        """Of an attempt in this process."""
        return cls(job_id=job_id, attempt=attempt, worker=os.getpid(), nonce=secrets.token_hex(8))

    @classmethod
    def of(cls, document: Any) -> Mark | None:
        """As `as_document` gave it; None where there is none: the real service makes no marks."""
        return None if document is None else cls(**document)

    def as_document(self) -> dict[str, object]:
        """JSON-serialisable."""
        return asdict(self)


class Journal:
    """A file per job in one folder, appended to by every process; without a folder nothing is written."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @classmethod
    def from_environment(cls) -> Journal:
        """The folder that `CHAOS_JOURNAL` names."""
        name = os.environ.get("CHAOS_JOURNAL")
        return cls(Path(name) if name else None)

    def note(self, what: str, mark: Mark) -> None:
        """Add a line; a process may be killed after it, not within."""
        if self._folder is not None:
            line = json.dumps([what, mark.as_document()]) + "\n"
            with (self._folder / mark.job_id).open("ab", buffering=0) as file:
                file.write(line.encode())

    def marks(self, job_id: str, what: str) -> list[Mark]:
        """The attempts at a job of which this is written."""
        path = None if self._folder is None else self._folder / job_id
        if path is None or not path.exists():
            return []
        lines = map(json.loads, path.read_text().splitlines())
        return [Mark(**document) for kind, document in lines if kind == what]

    def alive(self, job_id: str) -> bool:
        """Whether an attempt at the job may still publish: it has not ended, and its process lives."""
        ended = {*self.marks(job_id, DONE), *self.marks(job_id, STOPPED)}
        return any(_lives(mark.worker) for mark in self.marks(job_id, BEGUN) if mark not in ended)


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
