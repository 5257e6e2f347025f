"""The batching runners behind a real `bentoml serve`: concurrent calls share batches, and nothing mixes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

REPOSITORY = Path(__file__).parents[3]
START_LIMIT_S = 240
METHODS = (
    "detect_objects",
    "classify_reference",
    "classify_prompt",
    "detect",
    "segment",
    "estimate_pose",
    "estimate_depth",
)


@pytest.fixture(scope="module")
def served(bentoml_home, tmp_path_factory):
    """The probe behind `bentoml serve`: a client and the process. Everything that it started ends with it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("probe") / "serve.log"
    command = [sys.executable, "-m", "bentoml", "serve", "tests.integration.runners.runner_probe:RunnerProbe"]
    environment = {
        **os.environ,
        "BENTOML_HOME": str(bentoml_home),
        "OMP_NUM_THREADS": "1",
        "COMPOSITION_MODELS__PROFILE": "tiny",
    }
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=REPOSITORY,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300) as client:
            wait_until_ready(client, server, log)
            yield client, server
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


@pytest.fixture
def probe(served):
    return served[0]


@pytest.fixture
def server_process(served):
    return served[1]


def wait_until_ready(client, server, log):
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            if client.post("/states", json={}).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise AssertionError(log.read_text())


def flood(probe, method, count, **options):
    response = probe.post("/flood", json={"method": method, "count": count, **options})
    assert response.status_code == 200, response.text
    return response.json()


def nearly(numbers):
    """Batches of different sizes differ in the last digits."""
    return pytest.approx(numbers, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_concurrent_calls_share_batches_and_answer_like_each_alone(probe, method):
    calls = 64 if method == "classify_prompt" else 8  # a prompt takes 3 ms: fewer may be answered as they come
    alone = flood(probe, method, 1)
    assert alone["batches"] == alone["items"] == 1

    together = flood(probe, method, calls)
    again = flood(probe, method, calls)

    assert together["items"] == again["items"] == calls
    assert together["batches"] <= together["forwards"] < calls
    assert together["answers"][0] == nearly(alone["answers"][0])
    for first, second in zip(together["answers"], again["answers"], strict=True):
        assert first == nearly(second)


@pytest.mark.parametrize("method", ["detect", "segment", "estimate_pose"])
def test_one_bad_item_fails_alone_with_its_own_code(probe, method):
    good = flood(probe, method, 4)["answers"]

    answers = flood(probe, method, 4, bad=2)["answers"]

    assert answers[2] == "INVALID_INPUT"
    for index in (0, 1, 3):
        assert answers[index] == nearly(good[index])


def test_hundreds_of_calls_in_a_row_lose_none(probe):
    result = flood(probe, "classify_prompt", 250)

    assert [answer for answer in result["answers"] if isinstance(answer, str)] == []
    assert result["items"] == 250
    assert all(0 <= probability <= 1 for (probability,) in result["answers"])


def test_calls_after_a_pause_are_not_sent_on_connections_that_the_runner_has_closed(probe):
    """uvicorn closes idle connections after 5 s, which a front that is busy sees only after it has sent."""
    flood(probe, "classify_prompt", 64)

    result = flood(probe, "classify_prompt", 64, standing_s=6)

    assert [answer for answer in result["answers"] if isinstance(answer, str)] == []
    assert result["items"] == 64


def test_calls_to_a_runner_that_is_killed_fail_as_not_ready_or_are_answered_and_it_comes_back(probe, server_process):
    expected = probe.post("/segment_many", json={"count": 4}).json()
    (runner,) = [
        child
        for child in psutil.Process(server_process.pid).children(recursive=True)
        if "detector-runner" in child.cmdline()
    ]

    with ThreadPoolExecutor(1) as pool:
        calls = pool.submit(probe.post, "/segment_many", json={"count": 4})
        runner.kill()
        answers = calls.result(timeout=120).json()

    assert all(answer in ("NOT_READY", right) for answer, right in zip(answers, expected, strict=True))
    deadline = time.monotonic() + START_LIMIT_S
    while (answers := probe.post("/segment_many", json={"count": 4}).json()) != expected:
        assert all(answer in ("NOT_READY", right) for answer, right in zip(answers, expected, strict=True))
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_every_runner_says_which_models_it_holds(probe):
    states = probe.post("/states", json={}).json()

    assert [state["models_loaded"] for state in states] == [
        ["yolox", "clip"],
        ["grounding-dino", "sam"],
        ["dwpose", "depth-anything"],
    ]
