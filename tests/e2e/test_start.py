"""What a served instance says when it starts, while it serves, and how it ends; and how it refuses to start."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from filelock import FileLock

from benchmarks.server import START_LIMIT_S, Server, free_port
from tests.e2e.images import b64, encoded, photo

NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}
PROBES = ("/healthz", "/livez", "/readyz", "/api/v1/health")
SECRETS = {
    "COMPOSITION_API__API_KEYS": '{"ann": "s3cret-key-of-ann"}',
    "COMPOSITION_QUEUE__WEBHOOK_SECRET": "s3cret-of-webhooks",
    "COMPOSITION_QUEUE__REDIS_URL": "redis://:s3cret-of-redis@127.0.0.1:1/0",
}
TALKATIVE = {"COMPOSITION_LOGGING__LEVEL": "DEBUG", "COMPOSITION_API__ACCESS_LOG": "true"}


@dataclass(frozen=True, kw_only=True)
class Life:
    """What was seen of an instance from its start to its end."""

    log: Path
    first_answers: set[int]
    probed: set[int]
    edited: int
    refused: httpx.Response
    told: str
    answers_after_a_kill: set[int]
    runners: dict[str, Any]
    end: str
    exit_status: int | None

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")


@pytest.fixture(scope="module")
def life(tmp_path_factory) -> Life:
    """One instance that is asked, loses a runner, and whose configuration is spoilt in the end."""
    folder = tmp_path_factory.mktemp("life")
    log, config = folder / "serve.log", folder / "config.yaml"
    config.write_text("fetch: {timeout_s: 5}", encoding="utf-8")
    environment = {**NO_GPU, **SECRETS, **TALKATIVE, "COMPOSITION_CONFIG": str(config)}
    with Server(port=free_port(), log=log, environment=environment) as server:
        seen: dict[str, Any] = {"log": log, "first_answers": answers_until_ready(server.url)}
        server.wait_until_healthy()
        with httpx.Client(base_url=server.url, headers={"X-API-Key": "s3cret-key-of-ann"}, timeout=120) as client:
            seen |= answers_of(client, log)
        perception = runner_of(server, "perception")
        perception.kill()
        perception.wait()
        seen["answers_after_a_kill"] = answers_until_ready(server.url)
        seen["runners"] = server.wait_until_healthy()["runners"]
        config.write_text("fetch: {timeout_s: 0}", encoding="utf-8")
        runner_of(server, "perception").kill()
        with pytest.raises(RuntimeError) as ended:
            server.wait_until_ended(timeout_s=START_LIMIT_S)
        return Life(**seen, end=str(ended.value), exit_status=server.exit_status)


def answers_of(client: httpx.Client, log: Path) -> dict[str, Any]:
    """What it answers probes, an edit, a wrong key and whoever looks around."""
    mark(client, log, "before")
    probed = {client.request(method, path).status_code for path in PROBES * 3 for method in ("GET", "HEAD")}
    mark(client, log, "after")
    edit = {"base_image": b64(encoded(photo(256, 256), "png")), "prompt": "a red hat"}
    edited = client.post("/api/v1/generate", json={**edit, "config": {"num_inference_steps": 1}}).status_code
    wrong = {"X-API-Key": "s3cret-guess"}
    refused = client.post("/api/v1/generate", json={"base_image": "s3cret"}, headers=wrong)
    told = "".join(client.get(path).text for path in (*PROBES, "/api/v1/jobs", "/metrics", "/openapi.json", "/nope"))
    return {"probed": probed, "edited": edited, "refused": refused, "told": told}


def test_the_log_says_once_which_profile_is_served(life):
    (line,) = lines_with(life.log, "model profile")
    assert "model profile tiny, 256 px" in line


def test_the_log_says_once_where_and_how_the_diffusion_model_runs(life):
    (line,) = lines_with(life.log, "diffusion on")
    assert "diffusion on cpu in torch." in line
    assert "attention sdpa, not compiled, from " in line
    assert "composition-tiny-sd-inpainting" in line


def test_probes_leave_no_line_at_the_level_debug(life):
    assert life.probed == {200}
    between = life.text.split('"request_id": "before"')[1].split('"request_id": "after"')[0].splitlines()[1:-1]
    assert between == []
    assert lines_with(life.log, "[DEBUG]") != []


def test_nothing_shows_a_secret_at_the_level_debug(life):
    assert (life.edited, life.refused.status_code) == (200, 401)
    assert shown_secrets(life.text + life.told + life.refused.text) == []


def test_readiness_is_yes_or_no_while_runners_load_and_come_back_and_health_says_that_one_did(life):
    assert life.first_answers <= {503, 200}
    assert life.answers_after_a_kill <= {503, 200}
    assert life.runners["perception"] == {"ready": True, "restarts": 1, "failure": None}
    assert {name for name, runner in life.runners.items() if runner["restarts"]} == {"perception"}


def test_a_configuration_that_is_spoilt_while_it_serves_ends_the_server_when_a_runner_reads_it(life):
    assert "fetch.timeout_s: Input should be greater than 0" in life.end
    assert life.exit_status == 2
    assert_it_said_one_line(life.log, "error: ")


def test_a_device_that_is_not_there_ends_the_server_with_one_line_and_status_2(tmp_path):
    log, said = tmp_path / "serve.log", "models.device is cuda, but torch cannot use CUDA"
    environment = {**NO_GPU, **SECRETS, "COMPOSITION_MODELS__DEVICE": "cuda"}
    with Server(port=free_port(), log=log, environment=environment) as server:
        with pytest.raises(RuntimeError, match=said):
            server.wait_until_ended(timeout_s=START_LIMIT_S)
        assert server.exit_status == 2
    assert_it_said_one_line(log, said)
    assert shown_secrets(log.read_text(errors="replace")) == []


def test_a_store_that_is_in_use_ends_the_server_with_one_line_and_status_2(tmp_path):
    log, said = tmp_path / "serve.log", r"storage\.jobs: .* is in use by another process"
    lock = FileLock(tmp_path / "serve.state" / "jobs.sqlite3.lock")
    with lock, Server(port=free_port(), log=log) as server:
        with pytest.raises(RuntimeError, match=said):
            server.wait_until_ended(timeout_s=START_LIMIT_S)
        assert server.exit_status == 2
    assert lines_with(log, "Traceback") == []


def lines_with(log, text):
    return [line for line in log.read_text(errors="replace").splitlines() if text in line]


def assert_it_said_one_line(log, said):
    assert len(lines_with(log, said)) == 1
    assert lines_with(log, "Traceback") == []


def mark(client, log, name):
    """A line of the log that says where it has got to."""
    client.get("/nope", headers={"X-Request-ID": name})
    deadline = time.monotonic() + START_LIMIT_S
    while f'"request_id": "{name}"' not in log.read_text(errors="replace"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def shown_secrets(text):
    return [line for line in text.splitlines() if "s3cret" in line]


def runner_of(server, name):
    (runner,) = (child for child in psutil.Process(server.pid).children() if f"{name}-runner" in child.cmdline())
    return runner


def answers_until_ready(url):
    deadline, seen = time.monotonic() + START_LIMIT_S, set()
    with httpx.Client(base_url=url, timeout=30) as client:
        while 200 not in seen:
            assert time.monotonic() < deadline, seen
            with contextlib.suppress(httpx.TransportError):  # nothing accepts yet
                seen.add(client.get("/readyz").status_code)
            time.sleep(0.05)
    return seen
