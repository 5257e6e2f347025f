"""Health, metrics, start-up, documentation and the last line of defence."""

from __future__ import annotations

import json
import logging
import re
from functools import lru_cache

import httpx
import pytest

from api.app import create_app
from api.security import install_guards
from composition.config import ApiConfig, Config
from composition.errors import NotReady
from composition.jobs import JobStatus
from tests.fakes.fake_model_health import FakeModelHealth
from tests.unit.api.conftest import Edge, open_edge
from tests.unit.api.images import photo

EDIT = {"base_image": photo(), "prompt": "blue car"}
ROUTES = {
    ("post", "/api/v1/views"),
    ("post", "/api/v1/views/async"),
    ("post", "/api/v1/video"),
    ("post", "/api/v1/generate"),
    ("post", "/api/v1/generate/async"),
    ("post", "/api/v1/analyze"),
    ("get", "/api/v1/status/{job_id}"),
    ("get", "/api/v1/jobs"),
    ("delete", "/api/v1/jobs/{job_id}"),
    ("get", "/api/v1/jobs/{job_id}/image"),
    ("get", "/api/v1/jobs/{job_id}/video"),
    ("get", "/api/v1/jobs/{job_id}/events"),
    ("get", "/api/v1/health"),
    ("get", "/api/v1/loras"),
    ("post", "/api/v1/loras"),
    ("delete", "/api/v1/loras/{name}"),
    ("get", "/api/v1/version"),
    ("get", "/api/v1/models"),
    ("get", "/api/v1/admin/drain"),
    ("post", "/api/v1/admin/drain"),
    ("delete", "/api/v1/admin/drain"),
    ("get", "/metrics"),
}
OPENAI_ROUTES = {("post", "/v1/images/edits"), ("get", "/v1/models"), ("get", "/v1/models/{model}")}
NATIVE_ROUTES = {
    ("post", "/compose"),
    ("post", "/compose_task"),
    ("post", "/compose_task/submit"),
    ("get", "/compose_task/status"),
    ("get", "/compose_task/get"),
    ("put", "/compose_task/cancel"),
    ("post", "/compose_task/retry"),
}


async def test_health_answers_the_specified_body(edge: Edge):
    response = await edge.client.get("/api/v1/health")
    assert response.status_code == 200
    assert response.json() == {
        "status": "healthy",
        "profile": "demo",
        "models_loaded": ["grounding-dino", "sd-inpainting"],
        "gpu_available": False,
        "gpu_memory_free_mb": 0,
        "runners": {},
        "draining": False,
    }


async def test_health_says_which_runner_was_started_again_or_does_not_start(edge: Edge):
    runners = {
        "analyzer": {"ready": True, "restarts": 2, "failure": None},
        "diffusion": {"ready": False, "restarts": 0, "failure": "OutOfMemoryError"},
    }
    edge.health.report |= {"runners": runners}
    assert (await edge.client.get("/api/v1/health")).json()["runners"] == runners
    edge.health.report |= {"ready": False}
    assert (await edge.client.get("/api/v1/health")).json()["error"]["details"]["runners"] == runners


async def test_health_answers_503_until_the_models_are_loaded(edge: Edge):
    edge.health.report["ready"] = False
    edge.health.report["models_loaded"] = ["grounding-dino"]
    response = await edge.client.get("/api/v1/health")
    assert response.status_code == 503
    error = response.json()["error"]
    assert (error["code"], error["details"]["models_loaded"]) == ("NOT_READY", ["grounding-dino"])
    assert response.headers["retry-after"] == "5"


async def test_before_the_wiring_is_done_every_route_answers_503():
    app = create_app()
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        for method, path in sorted(ROUTES - {("get", "/metrics")}):
            body = {"json": EDIT} if method == "post" else {}
            url = path.format(job_id="2f4c7b0e-8d3a-4a58-9a2e-5d0c6f2b1e77", name="ink")
            response = await client.request(method, url, **body)
            assert (response.status_code, response.json()["error"]["code"]) == (503, "NOT_READY"), path
            assert response.headers["retry-after"] == "5"
        assert (await client.get("/metrics")).status_code == 200


async def test_health_answers_head_as_get_without_its_body(edge: Edge):
    assert (await edge.client.head("/api/v1/health")).status_code == 200
    edge.health.report = FakeModelHealth(ready=False).report
    assert (await edge.client.head("/api/v1/health")).status_code == 503


async def test_metrics_count_by_route_template_and_not_by_path():
    async with open_edge() as edge:
        for _ in range(3):
            await edge.client.get("/api/v1/status/2f4c7b0e-8d3a-4a58-9a2e-5d0c6f2b1e77")
        for path in ("/a", "/b"):
            await edge.client.get(path)
        await edge.client.request("BREW", "/c")
        for method in ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            await edge.client.request(method, "/d")
        text = (await edge.client.get("/metrics")).text
    assert 'route="/api/v1/status/{job_id}",status="404"' in text
    assert 'method="GET",route="unmatched",status="404"' in text
    counted = re.findall(r'_requests_total{method="(\w+)",route="unmatched",status="40[45]"', text)
    assert sorted(set(counted)) == ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "other"]
    assert "2f4c7b0e" not in text
    assert "composition_http_request_duration_seconds_bucket" in text


async def test_metrics_show_the_jobs_of_the_store_and_how_long_the_oldest_waits():
    async with open_edge(outcome=lambda job: JobStatus.PENDING) as edge:
        await edge.client.post("/api/v1/generate/async", json=EDIT)
        edge.queue.waited_s = 92.5
        lines = (await edge.client.get("/metrics")).text.splitlines()
    assert 'composition_jobs{status="pending"} 1.0' in lines
    assert 'composition_jobs{status="failed"} 0.0' in lines
    assert "composition_queue_age_seconds 92.5" in lines


async def test_metrics_go_on_while_the_store_is_away_and_tell_no_old_figures_of_it(edge: Edge):
    await edge.client.post("/api/v1/generate/async", json=EDIT)
    await edge.client.get("/metrics")
    edge.queue.storage_fault = NotReady("redis cannot be reached")
    answer = await edge.client.get("/metrics")
    assert answer.status_code == 200
    lines = answer.text.splitlines()
    assert {'composition_jobs{status="pending"} NaN', "composition_queue_age_seconds NaN"} <= set(lines)
    assert any(line.startswith("composition_http_requests_total{") for line in lines)


async def test_an_unexpected_error_is_opaque_and_carries_the_request_id(edge: Edge, caplog: pytest.LogCaptureFixture):
    edge.queue.refusal = RuntimeError("the password is 1234")
    response = await edge.client.post("/api/v1/generate", json=EDIT, headers={"X-Request-ID": "order-17"})
    assert response.status_code == 500
    assert response.json() == {
        "success": False,
        "error": {
            "code": "INTERNAL",
            "message": "an unexpected error has occurred",
            "details": {"request_id": "order-17"},
        },
    }
    assert "order-17" in caplog.text
    assert "the password is 1234" in caplog.text
    assert edge.blobs.blobs == {}


async def test_a_failing_store_of_images_leaves_nothing_behind(edge: Edge):
    edge.blobs.failure = OSError("disk full")
    response = await edge.client.post("/api/v1/generate/async", json=EDIT)
    assert (response.status_code, response.json()["error"]["code"]) == (500, "INTERNAL")
    assert edge.queue.jobs == {}


@pytest.mark.parametrize(
    ("offered", "kept"), [("order-17", True), ("a" * 128, True), ("a" * 129, False), ("a b", False), ("a\tb", False)]
)
async def test_a_harmless_request_id_is_kept(edge: Edge, offered: str, kept: bool):
    response = await edge.client.get("/api/v1/health", headers={"X-Request-ID": offered})
    assert (response.headers["x-request-id"] == offered) is kept
    assert response.headers["x-request-id"]


@lru_cache
def document() -> dict:
    return create_app().openapi()


def test_the_documentation_shows_every_route():
    shown = {(method, path) for path, methods in document()["paths"].items() for method in methods}
    assert shown == ROUTES | NATIVE_ROUTES | OPENAI_ROUTES


def test_every_route_documents_its_errors_in_the_envelope():
    for path, methods in document()["paths"].items():
        if path.startswith("/v1/"):
            continue
        for operation in methods.values():
            for status, response in operation["responses"].items():
                if status == "200":
                    continue
                body = response["content"]["application/json"]
                assert body["schema"] == {"$ref": "#/components/schemas/ErrorResponse"}, (path, status)
                for code, example in body.get("examples", {}).items():
                    assert example["value"]["success"] is False
                    assert example["value"]["error"]["code"] == code


def test_generate_documents_every_status_of_the_contract():
    operation = document()["paths"]["/api/v1/generate"]["post"]
    assert set(operation["responses"]) == {
        "200", "400", "401", "403", "409", "413", "422", "429", "500", "503", "504", "default",
    }  # fmt: skip
    codes = {
        code
        for status, response in operation["responses"].items()
        if status not in ("200", "default")
        for code in response["content"]["application/json"]["examples"]
    }
    assert codes == {
        "INVALID_INPUT", "UNAUTHORIZED", "CANCELLED", "PAYLOAD_TOO_LARGE", "UNPROCESSABLE_IMAGE", "UNPROCESSABLE_URL",
        "EMPTY_MASK", "NO_DETECTION", "CONTENT_POLICY", "RATE_LIMITED", "MODEL_ERROR", "OUT_OF_MEMORY", "INTERNAL",
        "NOT_READY", "QUEUE_FULL", "TIMEOUT", "FORBIDDEN", "SUPERSEDED",
    }  # fmt: skip


def test_the_framework_s_own_error_body_is_not_documented():
    assert "HTTPValidationError" not in json.dumps(document())


async def test_the_guards_cover_the_app_of_a_service_without_bentoml():
    app = create_app()
    install_guards(app, ApiConfig(api_keys={"ann": "secret"}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://service") as client:
        assert (await client.get("/api/v1/jobs")).status_code == 401
        assert (await client.get("/api/v1/health")).status_code == 503


async def test_an_access_line_is_one_json_object_without_the_query(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "api.access")
    async with open_edge(Config(api=ApiConfig(access_log=True, api_keys={"ann": "key-of-ann"}))) as edge:
        headers = {"X-API-Key": "key-of-ann", "X-Request-ID": "r-1"}
        await edge.client.get("/nope%0a%1b[2J?token=secret", headers=headers)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "api.access"]
    told = json.loads(line)
    assert 0 < told.pop("answered_ms") <= told.pop("duration_ms")
    assert told == {
        "method": "GET",
        "path": "/nope\n\x1b[2J",
        "status": 404,
        "request_id": "r-1",
        "client": "127.0.0.1",
        "owner": "ann",
    }
    assert line.isprintable()
    assert line.isascii()


async def test_without_the_access_log_a_request_leaves_no_line(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, "api")
    async with open_edge() as edge:
        await edge.client.get("/api/v1/jobs")
    assert [record for record in caplog.records if record.name.startswith("api")] == []


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_probe_leaves_a_line_only_when_it_fails(caplog: pytest.LogCaptureFixture, method: str):
    caplog.set_level(logging.DEBUG, "api")
    async with open_edge(Config(api=ApiConfig(access_log=True))) as edge:
        await edge.client.request(method, "/api/v1/health")
        assert [record for record in caplog.records if record.name.startswith("api")] == []
        edge.health.report["ready"] = False
        await edge.client.request(method, "/api/v1/health")
    failure, access = (record.getMessage() for record in caplog.records if record.name.startswith("api"))
    assert failure == f"{method} /api/v1/health: NOT_READY: the models are not loaded"
    assert json.loads(access)["status"] == 503
