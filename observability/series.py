"""Where a process keeps its series, and how those of all processes of a server become one text.

each process -> files of its own in one folder -> **whichever process is asked for /metrics reads them all**

What is counted so outlives the process that counted it: a runner that is killed takes nothing back. A Celery worker is
a single process: it keeps its series in memory, and answers at a port of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    disable_created_metrics,
    generate_latest,
    start_http_server,
)
from prometheus_client.multiprocess import MultiProcessCollector

MEDIA_TYPE = CONTENT_TYPE_LATEST
FOLDER_VARIABLE = "IMAGE_COMPOSITION_SERIES"
"""Names the server's folder to its processes."""
_LIBRARYS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""BentoML sets it to a folder in BENTOML_HOME, which all servers of one home share, and empty for one another."""
_LIVE = re.compile(r"gauge_live[a-z]*_(\d+)\.db")


def server_folder() -> Path | None:
    """What the processes of this server share and nobody after them; None for a process that is no server's."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return Path(folder) if folder else None


def share_series() -> None:
    """For the supervisor, before it starts a process: a folder for the server's series, removed when it ends."""
    folder = tempfile.mkdtemp(prefix="image-composition-series-")
    os.environ[FOLDER_VARIABLE] = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


@cache
def process_registry() -> CollectorRegistry:
    """This process's own. In a server's process series made in it are files in the server's folder."""
    if folder := os.environ.get(FOLDER_VARIABLE) or os.environ.get(_LIBRARYS_VARIABLE):
        os.environ[_LIBRARYS_VARIABLE] = folder
        # Who tidies up temporary folders may have taken it, and a runner that starts again must not fail over that.
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    return CollectorRegistry()


def render(registry: CollectorRegistry) -> bytes:
    """Every series of the server that this process belongs to, or of the registry where there is none.

    Takes milliseconds and reads files: not for an event loop.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder or registry is not process_registry():
        return generate_latest(registry)
    _forget_the_dead(Path(folder))
    merged = CollectorRegistry()
    MultiProcessCollector(merged, path=folder)  # type: ignore[no-untyped-call]
    return generate_latest(merged)


def serve_series(host: str, port: int) -> None:
    """Answer at a port of its own, in a thread, until the process ends. Raises: OSError: the port cannot be had."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # as where several processes are told together
    start_http_server(port, addr=host, registry=process_registry())


def _forget_the_dead(folder: Path) -> None:
    """What a process held (memory, requests in progress) ended with it; what it counted stays."""
    for file in folder.iterdir():
        found = _LIVE.fullmatch(file.name)
        if found is not None and not _is_alive(int(found[1])):
            with contextlib.suppress(OSError):
                file.unlink()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
