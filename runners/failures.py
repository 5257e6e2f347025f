"""Why a runner did not start, for /health: its process is gone before anybody could ask it.

A note beside the runners' sockets, in the folder that BentoML makes and removes with the server. It holds the error's
class only: /health asks for no key, and the log has the rest.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import bentoml

from runners.staying import socket_folder


def note_failure(error: BaseException) -> None:
    """This process, a runner behind `bentoml serve`, does not start."""
    note = _note(bentoml.server_context.service_name)
    if note is not None:
        with contextlib.suppress(OSError):
            note.write_text(type(error).__name__, encoding="utf-8")


def last_failure(runner: str) -> str | None:
    """What kept a runner (analyzer, detector, structure, diffusion) from starting the last time that it did not."""
    note = _note(f"{runner}-runner")
    try:
        return note.read_text(encoding="utf-8") if note is not None else None
    except OSError:
        return None


def _note(service: str | None) -> Path | None:
    folder = socket_folder()
    return folder / f"{service}.failure" if folder is not None and service else None
