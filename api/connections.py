"""Connections that ask for nothing: so long, so many, and never more than there are file descriptors for.

uvicorn waits for ever for a request's head, and takes connections until accepting, or whatever else the process opens,
fails. BentoML makes the server itself, so the bounds are a protocol class in uvicorn's own table of them.
"""

from __future__ import annotations

import asyncio
import resource
from collections import OrderedDict
from typing import Any

import uvicorn
from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEAD_TIMEOUT_S = 10.0
"""From the connection, or the first byte of a further request, to the end of the request's head."""
KEEP_ALIVE_S = 75.0
"""Of a connection between two requests, for uvicorn's 5 s. Clients and proxies keep theirs for less (nginx and AWS'
balancers 60 s, aiohttp, by which the front asks its runners, 15 s, httpx 5 s): when the server closes first, a request
that is on its way then is lost."""
SEND_TIMEOUT_S = 60.0
"""A client that takes nothing of its answer for so long is gone."""
MAX_CONNECTIONS = 4096
FILES_KEPT_FREE = 256
"""File descriptors for all that is not a client's connection: stores, images, runners, downloads."""

_UVICORN_KEEP_ALIVE_S = uvicorn.Config("", log_config=None).timeout_keep_alive
_Protocol: Any = AutoHTTPProtocol


def bound_connections() -> None:
    """Let every server that is made from now on in this process have the bounds; more files may be open than before."""
    most = raise_file_limit() - FILES_KEPT_FREE
    protocol: Any = bounded_protocol(Connections(max(1, min(MAX_CONNECTIONS, most))))
    HTTP_PROTOCOLS["auto"] = protocol


def raise_file_limit() -> int:
    """Raise the soft limit on open files to the hard one; the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Connections:
    """The open connections of a server, of which those without a request are given up first when there are too many."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open = 0
        self._idle: OrderedDict[Any, None] = OrderedDict()

    def admit(self, connection: Any) -> bool:
        """Count a new one; when there is no room, the one that has been without a request longest makes it.

        Returns:
            False when every other one has a request: there is no room then, though it is counted until it is lost.
        """
        self._open += 1
        if self._open <= self._limit:
            return True
        if not self._idle:
            return False
        longest, _ = self._idle.popitem(last=False)
        longest.transport.abort()
        return True

    def lose(self, connection: Any) -> None:
        """It is closed."""
        self._open -= 1
        self._idle.pop(connection, None)

    def set_idle(self, connection: Any, idle: bool) -> None:
        """Whether it has no request; the time counts from the first call that says so."""
        if not idle:
            self._idle.pop(connection, None)
        elif not connection.transport.is_closing():
            self._idle.setdefault(connection)


def bounded_protocol(
    connections: Connections, *, head_timeout_s: float = HEAD_TIMEOUT_S, send_timeout_s: float = SEND_TIMEOUT_S
) -> type[asyncio.Protocol]:
    """Uvicorn's HTTP protocol with limits on the time for a request's head and for taking the answer.

    A connection is kept between requests for `KEEP_ALIVE_S`, unless the server was started with another time.
    """

    class BoundedProtocol(_Protocol):  # type: ignore[misc]
        _head_timer: asyncio.TimerHandle | None = None
        _send_timer: asyncio.TimerHandle | None = None

        def __init__(self, config: uvicorn.Config, *args: Any, **kwargs: Any) -> None:
            super().__init__(config, *args, **kwargs)
            if config.timeout_keep_alive == _UVICORN_KEEP_ALIVE_S:
                self.timeout_keep_alive = KEEP_ALIVE_S

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            if not connections.admit(self):
                transport.abort()
                return
            connections.set_idle(self, True)
            self._await_head()

        def connection_lost(self, error: Exception | None) -> None:
            connections.lose(self)
            self._cancel_timers()
            super().connection_lost(error)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._look()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            connections.set_idle(self, self._is_idle())

        def pause_writing(self) -> None:
            super().pause_writing()
            self._send_timer = self.loop.call_later(send_timeout_s, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._send_timer is not None:
                self._send_timer.cancel()

        def _should_upgrade(self) -> bool:
            """Never: nothing here speaks WebSocket, and a connection handed over to it would be counted for ever."""
            return False

        def _unsupported_upgrade_warning(self) -> None:
            """Who asks for another protocol is answered in this one (RFC 9110, 7.8); that is no warning."""

        def _is_idle(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _look(self) -> None:
            """After data has come: either a request has begun, or its head, or what the last one left, goes on."""
            idle = self._is_idle()
            connections.set_idle(self, idle)
            if idle:
                self._await_head()
            elif self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _await_head(self) -> None:
            if self._head_timer is None:
                self._head_timer = self.loop.call_later(head_timeout_s, self._give_up)

        def _give_up(self) -> None:
            self._head_timer = None
            if self._is_idle():
                self.transport.abort()

        def _cancel_timers(self) -> None:
            for timer in (self._head_timer, self._send_timer):
                if timer is not None:
                    timer.cancel()

    return BoundedProtocol
