"""Runners stay while the front finishes: a stop reaches every process of a server at once, and the front needs them.

BentoML's supervisor signals all its children together and removes the runners' sockets first. So a runner that is told
to stop waits until no front holds it any more, and the front keeps the sockets, by descriptor, as they were.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import bentoml
from bentoml.container import BentoMLContainer

from composition.config import load_config
from composition.shutdown import LINGER_S, intercept_stop_signals

_LOCK = "front.lock"
_POLL_S = 0.1
MARGIN_S = 15.0
_A_RUNNER = "service"


def hold_runners() -> None:
    """For the front, before it first asks a runner: they stay, and can be reached, until this process ends.

    Does nothing where runners have no sockets: in this process, or behind TCP.
    """
    sockets = _sockets()
    if not sockets:
        return
    fcntl.flock(_lock_in(next(iter(sockets.values())).parent), fcntl.LOCK_SH)
    if not hasattr(os, "O_PATH"):
        return  # not Linux: a connection that is open serves on, no new one can be made
    held = {name: f"file:///proc/self/fd/{os.open(path, os.O_PATH)}" for name, path in sockets.items()}
    BentoMLContainer.remote_runner_mapping.set({**BentoMLContainer.remote_runner_mapping.get(), **held})


class StaysForFront:
    """What every runner is: told to stop, it serves on until no front holds it, or the grace time is well over."""

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    def stay_for_front(self) -> None:
        """Take over SIGTERM and SIGINT from the server; only behind `bentoml serve`."""
        folder = socket_folder()
        if bentoml.server_context.service_type != _A_RUNNER or folder is None:
            return
        limit_s = load_config().queue.shutdown_grace_s + LINGER_S + MARGIN_S
        stay_until(_nobody_holds(_lock_in(folder)), unless=lambda: not self.can_serve, limit_s=limit_s)

    @property
    def can_serve(self) -> bool:
        """Whether there is any point in staying."""
        return True


def stay_until(free: Callable[[], bool], *, unless: Callable[[], bool], limit_s: float) -> None:
    """Keep a signal to stop until `free` or `unless` says yes or the time is over; obey a second Ctrl-C at once."""
    staying: asyncio.Task[None] | None = None
    interrupts = 0
    give_on: Callable[[int], None] | None = None

    async def stay(number: int) -> None:
        assert give_on is not None
        loop = asyncio.get_running_loop()
        end = loop.time() + limit_s
        while not (free() or unless() or loop.time() >= end):  # noqa: ASYNC110  a lock and a thread tell nobody
            await asyncio.sleep(_POLL_S)
        give_on(number)

    def react(number: int) -> None:
        nonlocal staying, interrupts
        assert give_on is not None
        interrupts += number == signal.SIGINT
        if interrupts > 1:
            give_on(number)
        elif staying is None:
            staying = asyncio.create_task(stay(number))

    give_on = intercept_stop_signals(react)


def socket_folder() -> Path | None:
    """What BentoML makes and removes for one server's sockets; None where runners have none."""
    urls: dict[str, str] = json.loads(os.environ.get("BENTOML_RUNNER_MAP") or "{}")
    return next((path.parent for path in _socket_paths(urls).values()), None)


def _sockets() -> dict[str, Path]:
    return _socket_paths(BentoMLContainer.remote_runner_mapping.get())


def _socket_paths(urls: Mapping[str, str]) -> dict[str, Path]:
    return {name: Path(unquote(urlsplit(url).path)) for name, url in urls.items() if url.startswith("file:")}


def _lock_in(folder: Path) -> int:
    """Open until the process ends, also when the folder is gone."""
    return os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)


def _nobody_holds(lock: int) -> Callable[[], bool]:
    def free() -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(lock, fcntl.LOCK_UN)
        return True

    return free
