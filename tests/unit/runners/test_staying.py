"""A runner that is told to stop, over a real lock, a real socket and a front in a process of its own."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bentoml.container import BentoMLContainer

from runners import staying
from tests.fakes.signalled_server import SignalledServer, signalled_server

FRONT = """
import sys
from bentoml.container import BentoMLContainer
from runners.staying import hold_runners
BentoMLContainer.remote_runner_mapping.set({"analyzer-runner": "file://" + sys.argv[1]})
hold_runners()
print(BentoMLContainer.remote_runner_mapping.get()["analyzer-runner"], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """The folder that a server's supervisor makes for its runners."""
    path = tmp_path / "uds" / "1.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        yield {"analyzer-runner": path}


@pytest.fixture
def server() -> Iterator[SignalledServer]:
    with signalled_server() as server:
        yield server


@pytest.fixture
def front(sockets: dict[str, Path]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", FRONT, str(sockets["analyzer-runner"])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("file:")
        yield process
        process.kill()


@pytest.mark.parametrize("end", ["ends", "is killed"])
async def test_a_runner_stays_until_the_front_is_gone(
    sockets: dict[str, Path], front: subprocess.Popen[str], server: SignalledServer, end: str
) -> None:
    free = staying._nobody_holds(staying._lock_in(sockets["analyzer-runner"].parent))
    shutil.rmtree(sockets["analyzer-runner"].parent)  # as the supervisor does first of all
    staying.stay_until(free, unless=lambda: False, limit_s=60)
    signal.raise_signal(signal.SIGTERM)
    await asyncio.sleep(3 * staying._POLL_S)
    assert server.told == []
    if end == "ends":
        front.communicate()
    else:
        front.kill()
        front.wait()
    await server.until_told()
    assert server.told == [signal.SIGTERM]


@pytest.mark.parametrize(("free", "useless", "limit_s"), [(True, False, 60), (False, True, 60), (False, False, 0)])
async def test_a_runner_that_nobody_holds_or_that_cannot_serve_or_whose_time_is_over_goes(
    server: SignalledServer, free: bool, useless: bool, limit_s: float
) -> None:
    staying.stay_until(lambda: free, unless=lambda: useless, limit_s=limit_s)
    signal.raise_signal(signal.SIGTERM)
    await server.until_told()
    assert server.told == [signal.SIGTERM]


async def test_ctrl_c_twice_is_obeyed(server: SignalledServer) -> None:
    staying.stay_until(lambda: False, unless=lambda: False, limit_s=60)
    for number in (signal.SIGINT, signal.SIGTERM):  # a terminal tells everybody, the supervisor once more
        signal.raise_signal(number)
    await asyncio.sleep(3 * staying._POLL_S)
    assert server.told == []
    signal.raise_signal(signal.SIGINT)
    await server.until_told()
    assert server.told == [signal.SIGINT]


@pytest.mark.skipif(not hasattr(staying.os, "O_PATH"), reason="descriptors of paths are Linux's")
def test_the_front_reaches_a_runner_whose_socket_was_removed(
    sockets: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sockets["analyzer-runner"]
    before = BentoMLContainer.remote_runner_mapping.get()
    BentoMLContainer.remote_runner_mapping.set({"analyzer-runner": f"file://{path}", "other": "tcp://127.0.0.1:1"})
    try:
        staying.hold_runners()
        urls = BentoMLContainer.remote_runner_mapping.get()
    finally:
        BentoMLContainer.remote_runner_mapping.set(before)
    shutil.rmtree(path.parent)
    assert urls["other"] == "tcp://127.0.0.1:1"
    with socket.socket(socket.AF_UNIX) as calling:
        calling.connect(urls["analyzer-runner"].removeprefix("file://"))


def test_a_process_without_runners_has_no_folder_of_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (None, "", "{}"):
        monkeypatch.delenv("BENTOML_RUNNER_MAP", raising=False)
        if value is not None:
            monkeypatch.setenv("BENTOML_RUNNER_MAP", value)
        assert staying.socket_folder() is None
