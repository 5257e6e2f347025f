"""What a served instance says when it starts, and how it refuses to."""

from __future__ import annotations

import contextlib
import time

import httpx
import psutil
import pytest
from filelock import FileLock

from benchmarks.server import Server, free_port
from tests.e2e.images import b64, encoded, photo

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


def test_a_device_that_is_not_there_ends_the_server_with_one_line_and_status_2(tmp_path):
    log, said = tmp_path / "serve.log", "models.device is cuda, but torch cannot use CUDA"
    environment = {**NO_GPU, **SECRETS, "COMPOSITION_MODELS__DEVICE": "cuda"}
    with Server(port=free_port(), log=log, environment=environment) as server:
        with pytest.raises(RuntimeError, match=said):
            server.wait_until_ended(timeout_s=240)
        assert server.exit_status == 2
    assert_it_said_one_line(log, said)


def test_a_configuration_that_is_spoilt_while_it_serves_ends_the_server_when_a_runner_reads_it(tmp_path):
    log, config = tmp_path / "serve.log", tmp_path / "config.yaml"
    config.write_text("fetch: {timeout_s: 5}", encoding="utf-8")
    environment = {**NO_GPU, **SECRETS, "COMPOSITION_CONFIG": str(config)}
    with Server(port=free_port(), log=log, environment=environment) as server:
        server.wait_until_healthy(timeout_s=240)
        config.write_text("fetch: {timeout_s: 0}", encoding="utf-8")
        runner_of(server, "structure").kill()
        with pytest.raises(RuntimeError, match=r"fetch\.timeout_s: Input should be greater than 0"):
            server.wait_until_ended(timeout_s=240)
        assert server.exit_status == 2
    assert_it_said_one_line(log, "error: ")


def assert_it_said_one_line(log, said):
    assert len(lines_with(log, said)) == 1
    assert lines_with(log, "Traceback") == []
    assert shown_secrets(log.read_text(errors="replace")) == []


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
        analyzer = runner_of(server, "analyzer")
        analyzer.kill()
        analyzer.wait()
        assert answers_until_ready(server.url) <= {503, 200}
        runners = server.wait_until_healthy(timeout_s=180)["runners"]
    assert runners["analyzer"] == {"ready": True, "restarts": 1, "failure": None}
    assert {name for name, runner in runners.items() if runner["restarts"]} == {"analyzer"}
    assert lines_with(log, "Traceback") == []


PROBES = ("/healthz", "/livez", "/readyz", "/api/v1/health")
SECRETS = {
    "COMPOSITION_API__API_KEYS": '{"ann": "s3cret-key-of-ann"}',
    "COMPOSITION_QUEUE__WEBHOOK_SECRET": "s3cret-of-webhooks",
    "COMPOSITION_QUEUE__REDIS_URL": "redis://:s3cret-of-redis@127.0.0.1:1/0",
}


def test_probes_leave_no_line_and_nothing_shows_a_secret_at_the_level_debug(tmp_path):
    log = tmp_path / "serve.log"
    talkative = {"COMPOSITION_LOGGING__LEVEL": "DEBUG", "COMPOSITION_API__ACCESS_LOG": "true"}
    with Server(port=free_port(), log=log, environment={**NO_GPU, **SECRETS, **talkative}) as server:
        server.wait_until_healthy(timeout_s=180)
        with httpx.Client(base_url=server.url, headers={"X-API-Key": "s3cret-key-of-ann"}, timeout=120) as client:
            mark(client, log, "before")
            for path in PROBES * 3:
                assert [client.request(method, path).status_code for method in ("GET", "HEAD")] == [200, 200]
            mark(client, log, "after")
            edit = {"base_image": b64(encoded(photo(256, 256), "png")), "prompt": "a red hat"}
            answer = client.post("/api/v1/generate", json={**edit, "config": {"num_inference_steps": 1}})
            assert answer.status_code == 200
            wrong = client.post(
                "/api/v1/generate", json={"base_image": "s3cret"}, headers={"X-API-Key": "s3cret-guess"}
            )
            assert wrong.status_code == 401
            told = "".join(
                client.get(path).text for path in (*PROBES, "/api/v1/jobs", "/metrics", "/openapi.json", "/nope")
            )
    text = log.read_text(errors="replace")
    between = text.split('"request_id": "before"')[1].split('"request_id": "after"')[0].splitlines()[1:-1]
    assert between == []
    assert shown_secrets(text + told + wrong.text) == []
    assert lines_with(log, "[DEBUG]") != []


def mark(client, log, name):
    """A line of the log that says where it has got to."""
    client.get("/nope", headers={"X-Request-ID": name})
    deadline = time.monotonic() + 20
    while f'"request_id": "{name}"' not in log.read_text(errors="replace"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def shown_secrets(text):
    return [line for line in text.splitlines() if "s3cret" in line]


def runner_of(server, name):
    (runner,) = (child for child in psutil.Process(server.pid).children() if f"{name}-runner" in child.cmdline())
    return runner


def answers_until_ready(url, *, timeout_s=180.0):
    deadline, seen = time.monotonic() + timeout_s, set()
    while 200 not in seen:
        assert time.monotonic() < deadline, seen
        with contextlib.suppress(httpx.TransportError):  # nothing accepts yet
            seen.add(httpx.get(f"{url}/readyz", timeout=10).status_code)
        time.sleep(0.05)
    return seen
