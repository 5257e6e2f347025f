"""How a runner's starts went, for /health: a process that does not start is gone before anybody could ask it.

Notes beside the runners' sockets, in the folder that BentoML makes and removes with the server; so they outlive the
front too. A failure is told by the error's class only: /health asks for no key, and the log has the rest.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import bentoml

from runners.staying import socket_folder

KILLED = "ended without a word while starting"
"""As when the kernel ends it because memory runs out."""


class _Notes:
    """The files about one service."""

    def __init__(self, folder: Path, service: str) -> None:
        self.starts = folder / f"{service}.starts"
        self.beginning = folder / f"{service}.beginning"
        self.failure = folder / f"{service}.failure"


def note_start() -> None:
    """This process, a runner behind `bentoml serve`, begins to start."""
    notes = _notes_of(bentoml.server_context.service_name)
    if notes is None:
        return
    with contextlib.suppress(OSError):
        if notes.beginning.exists():
            notes.failure.write_text(KILLED, encoding="utf-8")
        notes.beginning.touch()
        with notes.starts.open("ab") as starts:
            starts.write(b".")


def note_success() -> None:
    """It has started."""
    notes = _notes_of(bentoml.server_context.service_name)
    if notes is not None:
        with contextlib.suppress(OSError):
            notes.beginning.unlink(missing_ok=True)
            notes.failure.unlink(missing_ok=True)


def note_failure(error: BaseException) -> None:
    """It does not start."""
    notes = _notes_of(bentoml.server_context.service_name)
    if notes is not None:
        with contextlib.suppress(OSError):
            notes.beginning.unlink(missing_ok=True)
            notes.failure.write_text(type(error).__name__, encoding="utf-8")


def last_failure(runner: str) -> str | None:
    """What kept a runner (analyzer, detector, structure, diffusion) from starting, if it did not the last time."""
    notes = _notes_of(f"{runner}-runner")
    try:
        return notes.failure.read_text(encoding="utf-8") if notes is not None else None
    except OSError:
        return None


def restarts_of(runner: str) -> int:
    """How often a runner was started again, whether or not it came up."""
    notes = _notes_of(f"{runner}-runner")
    try:
        return max(0, notes.starts.stat().st_size - 1) if notes is not None else 0
    except OSError:
        return 0


def _notes_of(service: str | None) -> _Notes | None:
    folder = socket_folder()
    return _Notes(folder, service) if folder is not None and service else None
