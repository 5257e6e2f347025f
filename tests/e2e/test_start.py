"""What a served instance says when it starts, and how it refuses to."""

from __future__ import annotations

import contextlib
import time

import httpx
import psutil
import pytest
from filelock import FileLock

from benchmarks.server import Server, free_port

NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}


def lines_with(log, text):
    return [line for line in log.read_text(errors="replace").splitlines() if text in line]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("start") / "serve.log"
    with Server(port=free_port(), log=path, environment=NO_GPU) as server:
        server.wait_until_healthy(timeout_s=180)
    return path


def test_the_log_says_once_which_profile_is_served(log):
    (line,) = lines_with(log, "model profile")
    assert "model profile tiny, 256 px" in line


def test_the_log_says_once_where_and_how_the_diffusion_model_runs(log):
    (line,) = lines_with(log, "diffusion on")
    assert "diffusion on cpu in torch." in line
    assert "attention sdpa, UNet not compiled, from " in line
    assert "composition-tiny-sd-inpainting" in line


def test_a_device_that_is_not_there_ends_the_server_with_one_line_a_runner_and_no_traceback(tmp_path):
    log, said = tmp_path / "serve.log", "models.device is cuda, but torch cannot use CUDA"
    environment = {**NO_GPU, "COMPOSITION_MODELS__DEVICE": "cuda"}
    with Server(port=free_port(), log=log, environment=environment) as server, pytest.raises(RuntimeError, match=said):
        server.wait_until_healthy(timeout_s=120)
    runners = [line.partition("]")[0] for line in lines_with(log, said)]
    assert 1 <= len(runners) <= 4
    assert lines_with(log, "Traceback") == []


def test_a_store_that_is_in_use_ends_the_server_with_one_line_and_status_2(tmp_path):
    lock = FileLock(tmp_path / "serve.state" / "jobs.sqlite3.lock")
    with lock, Server(port=free_port(), log=tmp_path / "serve.log") as server:
        with pytest.raises(RuntimeError, match=r"storage\.jobs: .* is in use by another process"):
            server.wait_until_healthy(timeout_s=120)
        assert server.exit_status == 2
    assert lines_with(tmp_path / "serve.log", "Traceback") == []


def test_readiness_is_yes_or_no_while_runners_load_and_come_back_and_health_says_that_one_did(tmp_path):
    log = tmp_path / "serve.log"
    with Server(port=free_port(), log=log, environment=NO_GPU) as server:
        assert answers_until_ready(server.url) <= {503, 200}
        server.wait_until_healthy(timeout_s=180)
        (analyzer,) = (child for child in psutil.Process(server.pid).children() if "analyzer-runner" in child.cmdline())
        analyzer.kill()
        analyzer.wait()
        assert answers_until_ready(server.url) <= {503, 200}
        runners = server.wait_until_healthy(timeout_s=180)["runners"]
    assert runners["analyzer"] == {"ready": True, "restarts": 1, "failure": None}
    assert {name for name, runner in runners.items() if runner["restarts"]} == {"analyzer"}
    assert lines_with(log, "Traceback") == []


def answers_until_ready(url, *, timeout_s=180.0):
    deadline, seen = time.monotonic() + timeout_s, set()
    while 200 not in seen:
        assert time.monotonic() < deadline, seen
        with contextlib.suppress(httpx.TransportError):  # nothing accepts yet
            seen.add(httpx.get(f"{url}/readyz", timeout=10).status_code)
        time.sleep(0.05)
    return seen
