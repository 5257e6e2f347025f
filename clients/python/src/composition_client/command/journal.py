"""A batch's state file: a line of JSON for everything that has ended, so that a batch that was stopped goes on.

`kill -9` loses at most the last line. What was submitted without an end noted is submitted again under the same
idempotency key, and so is the same job of the service, as long as that keeps it (24 h by default).
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

NAME = ".compose-batch.jsonl"


class OtherSettings(Exception):
    """The folder's batch was made with another prompt, reference or options."""


@dataclass
class Journal:
    """Of one output folder.

    Attributes:
        batch: a random name, so that two batches never share jobs.
        done: of each photo that is edited: its digest.
        outputs: the files of those.
        failures: how often a photo of that digest failed or was cancelled; every new try has a new key.
        resumed: whether it goes on with what was there.
    """

    path: Path
    settings: str
    batch: str = field(default_factory=lambda: uuid.uuid4().hex)
    done: dict[str, str] = field(default_factory=dict)
    outputs: set[str] = field(default_factory=set)
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    resumed: bool = False
    _file: IO[str] | None = None

    @classmethod
    def open(cls, folder: Path, *, settings: str, anew: bool) -> Journal:
        """Read what there is, or begin. Raises: OtherSettings unless `anew`."""
        journal = cls(path=folder / NAME, settings=settings)
        journal.resumed = journal.path.exists() and journal._read()
        if journal.path.exists() and not journal.resumed and not anew:
            raise OtherSettings
        return journal

    def _read(self) -> bool:
        """Whether it is of these settings; if not, nothing of it is taken over."""
        lines = list(_entries(self.path))
        if not lines or lines[0].get("settings") != self.settings:
            return False
        self.batch = lines[0]["batch"]
        for entry in lines[1:]:
            photo, digest = entry["photo"], entry["digest"]
            if "output" in entry:
                self.done[photo] = digest
                self.outputs.add(entry["output"])
            else:
                self.failures[photo, digest] += 1
        return True

    def __enter__(self) -> Journal:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a" if self.resumed else "w", encoding="utf-8")
        if self.resumed:
            self._file.write("\n")  # ends a line that a crash may have cut off
        else:
            self._write({"batch": self.batch, "settings": self.settings})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        self._file.close()

    def key(self, photo: str, digest: str) -> str:
        """The idempotency key of the next try."""
        parts = (self.batch, photo, digest, str(self.failures[photo, digest]))
        return f"batch-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()}"

    def note_done(self, photo: str, digest: str, output: str, account: dict[str, Any]) -> None:
        self.done[photo] = digest
        self.outputs.add(output)
        self._write({"photo": photo, "digest": digest, "output": output, **account})

    def note_failure(self, photo: str, digest: str, error: dict[str, Any]) -> None:
        self.failures[photo, digest] += 1
        self._write({"photo": photo, "digest": digest, "error": error})

    def _write(self, entry: dict[str, Any]) -> None:
        assert self._file is not None
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def _entries(path: Path) -> list[dict[str, Any]]:
    """Every whole line; one that a crash has cut off is passed over."""
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found
