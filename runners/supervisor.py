"""BentoML's supervisor obeys a signal to stop whenever it comes.

It does one thing at a time and forgets what it is told meanwhile. So a SIGTERM that came while it started a process,
at the server's start or for a runner that had ended, did nothing but take the sockets away: a server whose runner
cannot start, and is started again and again, went on until it was told once more.
"""

from __future__ import annotations

from typing import Any

from bentoml._internal.utils.circus import Arbiter

_RETRY_S = 0.05

_stop = Arbiter.stop


def remember_stops() -> None:
    """For the supervisor, before it starts a process: a stop that comes while it is busy is obeyed right after."""
    Arbiter.stop = _stop_when_idle


def _stop_when_idle(arbiter: Any) -> Any:
    if arbiter._stopping:
        return None
    if arbiter._exclusive_running_command is None:
        return _stop(arbiter)
    arbiter.loop.call_later(_RETRY_S, _stop_when_idle, arbiter)
    return None
