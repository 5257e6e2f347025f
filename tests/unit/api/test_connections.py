"""Idle and slow connections against a real server on the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from api.connections import Connections, bounded_protocol
from api.security.answer_budget import AnswerBudgetGuard

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADE = (
    b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
HEAD_S = 0.3


class App:
    """Answers at once, but /held when it is let go."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.held = asyncio.Semaphore(0)
        self.size = 4
        self.asked: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.add(scope["type"])
        if scope["path"] == "/held":
            self.held.release()
            await self.go_on.wait()
        await PlainTextResponse("x" * self.size)(scope, receive, send)


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> bytes:
        async with asyncio.timeout(60):
            head = await self.reader.readuntil(b"\r\n\r\n")
            await self.reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]))
        return head.split(b" ")[1]

    async def until_closed(self) -> int:
        """How many bytes the server still sends until it closes the connection."""
        received = 0
        async with asyncio.timeout(60):
            with contextlib.suppress(ConnectionError):
                while piece := await self.reader.read(65536):
                    received += len(piece)
        return received


Connect = Callable[[], Awaitable[Client]]


@asynccontextmanager
async def serving(
    app: Any, *, limit: int = 100, send_timeout_s: float = 60, keep_alive_s: int = 60
) -> AsyncIterator[Connect]:
    config = uvicorn.Config(app, log_config=None, timeout_keep_alive=keep_alive_s)
    protocol = bounded_protocol(Connections(limit), head_timeout_s=HEAD_S, send_timeout_s=send_timeout_s)
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0)
    clients: list[Client] = []
    going_on = app.go_on if isinstance(app, App) else asyncio.Event()

    async def connect() -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1]))
        clients.append(client)
        return client

    yield connect
    going_on.set()
    for client in clients:
        client.writer.close()
    server.close()
    for client in clients:
        await client.until_closed()
    for connection in list(state.connections):
        connection.transport.abort()
    if state.tasks:
        await asyncio.wait(state.tasks, timeout=5)
    await server.wait_closed()


async def test_a_connection_that_asks_for_nothing_is_closed():
    async with serving(App()) as connect:
        await (await connect()).until_closed()


@pytest.mark.parametrize("first", [b"", REQUEST], ids=["first request", "second request"])
async def test_a_head_that_comes_byte_by_byte_is_given_up(first: bytes):
    async with serving(App()) as connect:
        client = await connect()
        if first:
            client.writer.write(first)
            assert await client.answer() == b"200"
        dripping = asyncio.create_task(drip(client))
        await client.until_closed()
        dripping.cancel()


async def drip(client: Client) -> None:
    client.writer.write(b"GET / HTTP/1.1\r\nX: ")
    while True:
        client.writer.write(b"x")
        await asyncio.sleep(HEAD_S / 20)


async def test_a_request_may_take_longer_than_its_head_might():
    app = App()
    async with serving(app) as connect:
        client = await connect()
        client.writer.write(REQUEST.replace(b"/ ", b"/held "))
        await app.held.acquire()
        await asyncio.sleep(2 * HEAD_S)
        app.go_on.set()
        assert await client.answer() == b"200"
        client.writer.write(REQUEST)
        assert await client.answer() == b"200"


async def test_a_crowd_of_idle_connections_makes_room_for_who_asks():
    async with serving(App(), limit=8) as connect:
        idle = [await connect() for _ in range(40)]
        client = await connect()
        client.writer.write(REQUEST)
        assert await client.answer() == b"200"
        for one in idle:
            await one.until_closed()


async def test_no_connection_with_a_request_makes_room():
    app = App()
    async with serving(app, limit=4) as connect:
        busy = [await connect() for _ in range(4)]
        for client in busy:
            client.writer.write(REQUEST.replace(b"/ ", b"/held "))
            await app.held.acquire()
        await (await connect()).until_closed()
        app.go_on.set()
        assert [await client.answer() for client in busy] == [b"200"] * 4
        client = await connect()
        client.writer.write(REQUEST)
        assert await client.answer() == b"200"


async def test_asking_for_a_websocket_is_a_request_like_any_other_and_takes_no_room_for_good():
    app = App()
    async with serving(app, limit=4) as connect:
        for request in (*[REQUEST.replace(b"\r\n\r\n", UPGRADE)] * 8, *[REQUEST] * 8):
            client = await connect()
            client.writer.write(request)
            assert await client.answer() == b"200"
            client.writer.close()
            await client.writer.wait_closed()
    assert app.asked == {"http"}


async def test_a_connection_is_kept_longer_than_any_common_proxy_keeps_it():
    """A server that closes first may close on a request that is under way; nginx and balancers keep theirs for 60 s."""
    protocol: Any = bounded_protocol(Connections(1))
    state = ServerState()
    as_started = protocol(config=uvicorn.Config(App(), log_config=None), server_state=state, app_state={})
    assert as_started.timeout_keep_alive > 60
    asked = uvicorn.Config(App(), log_config=None, timeout_keep_alive=30)
    assert protocol(config=asked, server_state=state, app_state={}).timeout_keep_alive == 30


async def test_a_connection_is_closed_after_the_time_that_the_server_was_started_with():
    async with serving(App(), keep_alive_s=0) as connect:
        client = await connect()
        client.writer.write(REQUEST)
        assert await client.answer() == b"200"
        assert await client.until_closed() == 0


async def test_a_client_that_takes_nothing_of_its_answer_is_given_up():
    app = App()
    app.size = 50_000_000
    async with serving(app, send_timeout_s=0.3) as connect:
        client = await connect()
        client.writer.write(REQUEST)
        await client.reader.readuntil(b"\r\n\r\n")
        client.writer.transport.pause_reading()
        await asyncio.sleep(1)
        client.writer.transport.resume_reading()
        assert await client.until_closed() < app.size


async def test_a_client_that_takes_a_large_answer_slowly_gets_all_of_it():
    app = App()
    app.size = 40_000_000
    async with serving(AnswerBudgetGuard(app), send_timeout_s=0.5) as connect:
        client = await connect()
        client.writer.write(REQUEST)
        await client.reader.readuntil(b"\r\n\r\n")
        began_at = time.monotonic()
        for _ in range(40):
            await client.reader.readexactly(app.size // 40)
            await asyncio.sleep(0.03)
    assert time.monotonic() - began_at > 2 * 0.5


def test_the_limit_on_open_files_is_raised_and_every_server_of_the_process_is_bounded():
    program = """
import resource, uvicorn
from api.connections import bound_connections
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
bound_connections()
assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
config = uvicorn.Config(None, log_config=None)
config.load()
print(config.http_protocol_class.__name__)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "BoundedProtocol\n", ran.stderr


def test_importing_it_leaves_the_loggers_of_the_server_to_whoever_sets_them():
    program = """
import logging
import api.connections
loggers = map(logging.getLogger, ("uvicorn", "uvicorn.access"))
print([(logger.handlers, logger.level, logger.propagate) for logger in loggers])
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "[([], 0, True), ([], 0, True)]\n", ran.stderr
