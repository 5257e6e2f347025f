"""The runner in its own process behind a front service, as `bentoml serve` runs them."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tenacity import retry, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

from composition.lora import LoraUse
from runners.diffusion.transport.events import request_to_frame
from runners.diffusion.transport.frames import encode_frame
from tests.integration.runners.diffusion.requests import SIDE, both_controls, photo, request

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).parents[4]
LEASE_S = 3.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class FrontServer:
    """Calls the front over HTTP."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=120)

    def call(self, method: str, **arguments: Any) -> Any:
        response = self._http.post(f"/{method}", json=arguments)
        response.raise_for_status()
        return response.json()

    def diffuse(self, one: Any, **options: Any) -> Any:
        frame = base64.b64encode(encode_frame(request_to_frame(one))).decode()
        return self.call("diffuse", frame=frame, **options)

    def counters(self) -> dict[str, int]:
        counters: dict[str, int] = self.call("stats")["counters"]
        return counters

    def wait_until_ready(self) -> None:
        @retry(retry=retry_if_exception_type(httpx.HTTPError), wait=wait_fixed(0.5), stop=stop_after_delay(240))
        def probe() -> None:
            self._http.get("/readyz", timeout=5).raise_for_status()

        probe()

    def close(self) -> None:
        self._http.close()


def poll(probe: Callable[[], bool], timeout_s: float) -> bool:
    """Whether `probe` becomes true in time."""
    check = retry(
        retry=retry_if_result(lambda good: not good) | retry_if_exception_type(httpx.HTTPError),
        wait=wait_fixed(0.2),
        stop=stop_after_delay(timeout_s),
        retry_error_callback=lambda state: False,
    )(probe)
    return bool(check())


@pytest.fixture(scope="module")
def front(tiny_models: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontServer]:
    port = free_port()
    log = (tmp_path_factory.mktemp("front") / "log").open("w")
    environment = {
        **os.environ,
        "COMPOSITION_QUEUE__LEASE_S": str(LEASE_S),
        "COMPOSITION_MODELS__PROFILE": "tiny",
        "OMP_NUM_THREADS": "1",
        "BENTOML_DO_NOT_TRACK": "True",
    }
    command = [sys.executable, "-m", "bentoml", "serve", "tests.integration.runners.diffusion.front:Front"]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        cwd=REPOSITORY,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    server = FrontServer(f"http://127.0.0.1:{port}")
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.close()
        log.close()
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_request_crosses_the_processes_with_its_images_and_progress(front):
    one = request(controls=both_controls(), references=(photo(5),), ip_adapter_scale=0.6, previews=True)
    first, again = front.diffuse(one), front.diffuse(request(3)) and front.diffuse(one)
    assert first["steps"] == [0, 1, 2, 3, 4]
    assert first["models_used"] == [
        "sd-inpainting",
        "ip-adapter",
        "controlnet-pose",
        "controlnet-depth",
        "safety-checker",
    ]
    image = np.frombuffer(base64.b64decode(first["image"]), np.uint8).reshape(SIDE, SIDE, 3)
    assert image.std() > 0
    assert first["image"] == again["image"]


def test_an_error_arrives_as_itself(front):
    answer = front.diffuse(request(loras=(LoraUse(name="ink", weight=1.0, path="/gone", sha256="0" * 64),)))
    assert answer["code"] == "INVALID_INPUT"
    assert answer["message"] == "config.loras: ink was deleted"


def test_a_consumer_that_leaves_stops_the_forwards(front):
    answer = front.diffuse(request(num_inference_steps=100), stop_after=3)
    assert answer["left"]
    before = front.counters()
    front.diffuse(request(num_inference_steps=5))
    after = front.counters()
    assert after["requests_cancelled"] == before["requests_cancelled"]
    # The forward that was running when the cancel came may end after the first count.
    assert after["unet_forwards"] - before["unet_forwards"] in (5, 6)


def test_a_deadline_ends_a_request(front):
    answer = front.diffuse(request(num_inference_steps=100, height=512, width=512, deadline_s=0.5))
    assert answer["code"] == "TIMEOUT"


def test_a_killed_front_leaves_no_work_behind_after_the_lease(front):
    cancelled = front.counters().get("requests_cancelled", 0)
    long = request(num_inference_steps=100, height=768, width=768, guidance_scale=7.5)

    def call() -> None:
        with contextlib.suppress(httpx.HTTPError):
            front.diffuse(long)

    caller = threading.Thread(target=call)
    caller.start()
    assert poll(lambda: front.call("stats")["requests"]["denoising"] == 1, 30)
    os.kill(front.call("pid"), signal.SIGKILL)
    caller.join(60)
    front.wait_until_ready()
    assert poll(lambda: front.counters().get("requests_cancelled", 0) == cancelled + 1, LEASE_S + 20)
    assert front.call("stats")["requests"] == {"encoding": 0, "denoising": 0, "finishing": 0}
