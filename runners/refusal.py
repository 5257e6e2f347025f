"""A process of a server that cannot start as it is configured ends the server, which says why in one line.

BentoML's supervisor starts a process that ended again for ever, and ends itself with status 0 when it is told to stop.
So the process leaves word in a file that the supervisor named in the environment, and tells it to stop; the supervisor
reads the file when all its children have ended.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import NoReturn

from composition.config import ConfigError
from composition.shutdown import ended_by_a_stop
from composition.startup import EXIT_STATUS, config_errors_end_the_process
from models_store.store import ModelsNotImported
from runners.failures import note_failure, note_start, note_success

_starting: ContextVar[bool] = ContextVar("starting", default=False)
_NOTE_VARIABLE = "IMAGE_COMPOSITION_REFUSAL"
"""Names the file to the supervisor's children; the number at its end is the supervisor's."""


def hear_refusals(folder: Path) -> None:
    """For the supervisor, before it starts a process: when one refuses to start, end with its reason and status 2.

    Raises:
        ConfigError: nothing can be written to the folder.
    """
    note = folder / f"refusal.{os.getpid()}"
    try:
        note.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"storage.folder: cannot be used: {error.strerror}") from error
    os.environ[_NOTE_VARIABLE] = str(note)
    atexit.register(_end_as_refused, note)


@contextmanager
def refusing_to_start() -> Iterator[None]:
    """Around what a runner, or the front, does when it starts.

    Without a supervisor that hears it (a Celery worker, a test) the error is the caller's. A runner that is put
    together from others starts once. The supervisor's stop ends the start at once.
    """
    if _starting.get():
        yield
        return
    token = _starting.set(True)
    try:
        with ended_by_a_stop() if _note() else nullcontext(), _noting():
            yield
    finally:
        _starting.reset(token)


@contextmanager
def _noting() -> Iterator[None]:
    note_start()
    try:
        with _refusals_end_the_server():
            yield
    except Exception as error:
        note_failure(error)
        raise
    note_success()


@contextmanager
def refusing_to_be_imported() -> Iterator[None]:
    """Around what the modules of a server do at import, in the supervisor and again in each of its children.

    What is unusable in the configuration ends the process: the supervisor before it starts one, a child with it.
    """
    with config_errors_end_the_process(), _refusals_end_the_server():
        yield


@contextmanager
def _refusals_end_the_server() -> Iterator[None]:
    try:
        yield
    except (ConfigError, ModelsNotImported) as error:
        note = _note()
        if note is None:
            raise
        _refuse(error, note)


def _note() -> Path | None:
    """Where to leave word; None when this is no child of a supervisor that reads it."""
    named = os.environ.get(_NOTE_VARIABLE)
    return Path(named) if named and named.endswith(f".{os.getppid()}") else None


def _refuse(error: Exception, note: Path) -> NoReturn:
    """Of several processes that refuse at once the first is heard."""
    with contextlib.suppress(FileExistsError), note.open("x", encoding="utf-8") as file:
        file.write(str(error))
    os.kill(os.getppid(), signal.SIGTERM)
    sys.stderr.flush()
    os._exit(EXIT_STATUS)


def _end_as_refused(note: Path) -> None:
    """`bentoml serve` returns as after any stop: by now only `_exit` still sets the status."""
    try:
        reason = note.read_text(encoding="utf-8")
        note.unlink()
    except OSError:
        return
    print(f"error: {reason}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    logging.shutdown()
    os._exit(EXIT_STATUS)
