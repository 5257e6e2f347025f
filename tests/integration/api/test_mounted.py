"""The app and its guards mounted on a BentoML service, as service.py does it, without models.

BentoML's own routes are declared, and must never be reached: it reads bodies of many kinds without a limit, and keeps
whole requests, headers too.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import bentoml
import httpx
import pytest
from _bentoml_impl.client import AsyncHTTPClient
from _bentoml_impl.tasks import ResultStatus, Sqlite3Store
from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.server.http import traffic
from bentoml.exceptions import BentoMLException
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from api.app import create_app
from api.codec import PillowCodec
from api.context import ApiContext
from api.documentation import serve_whole_document
from api.security import guards
from api.security.own_routes import OwnRoutesGuard
from api.video.codec import make_video_codec
from composition.config import ApiConfig, Config
from runners.answer_limit import AnswerLimit, limit_answers
from tests.fakes.fake_blob_store import FakeBlobStore
from tests.fakes.fake_fetcher import FakeFetcher
from tests.fakes.fake_job_queue import FakeJobQueue
from tests.fakes.fake_model_health import FakeModelHealth
from tests.fakes.lora_library import lora_library
from tests.unit.api.conftest import completing
from tests.unit.api.images import photo

# BentoML reads pydantic's model_fields from an instance, which newer pydantic versions warn about.
pytestmark = pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute")

KEYS = {"ann": "key-of-ann", "bob": "key-of-bob"}
CONFIG = Config(api=ApiConfig(max_request_size_mb=1, api_keys=KEYS, rate_limit_per_minute=3))
ANN, BOB = ({"X-API-Key": key} for key in KEYS.values())
EDIT = {"base_image": photo(), "prompt": "blue car"}
app = create_app()


@bentoml.service(name="mounted-edge", metrics={"enabled": False})
@bentoml.asgi_app(app, path="/")
class MountedEdge:
    @bentoml.api(route="/compose")
    def compose(self, request: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError("BentoML has read a request")

    @bentoml.task(route="/compose_task")
    def compose_task(self, request: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError("BentoML has read a request")


serve_whole_document(app, lambda: MountedEdge.openapi_spec.asdict())
for guard, options in guards(CONFIG.api, app):
    MountedEdge.add_asgi_middleware(guard, **options)
MountedEdge.add_asgi_middleware(OwnRoutesGuard, own=app, schema=True)


@pytest.fixture
def task_store(tmp_path: Path) -> Iterator[Path]:
    """BentoML's own, as its supervisor makes it."""
    store = tmp_path / "tasks.sqlite3"
    Sqlite3Store.init_db(str(store))
    BentoMLContainer.result_store_file.set(str(store))
    yield store
    BentoMLContainer.result_store_file.reset()


@pytest.fixture
async def client(task_store: Path) -> AsyncIterator[httpx.AsyncClient]:
    blobs = FakeBlobStore()
    app.state.context = ApiContext(
        config=CONFIG,
        queue=FakeJobQueue(completing(blobs), blobs=blobs),
        blobs=blobs,
        codec=PillowCodec(max_side_px=2048),
        videos=make_video_codec(CONFIG),
        fetcher=FakeFetcher(),
        health=FakeModelHealth(),
        loras=lora_library(),
    )
    mounted = MountedEdge.to_asgi()
    transport = httpx.ASGITransport(app=mounted)
    async with (
        mounted.router.lifespan_context(mounted),
        httpx.AsyncClient(transport=transport, base_url="http://service") as opened,
    ):
        yield opened


async def megabytes(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield bytes(2**20)


def test_bentomls_limit_on_answers_is_ours(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(traffic, "TimeoutMiddleware", traffic.TimeoutMiddleware)  # undone at the end
    limit_answers()
    limits = [one.cls for one in MountedEdge.to_asgi().user_middleware if "timeout" in one.kwargs]
    assert limits == [AnswerLimit]


async def test_routes_of_both_kinds_answer_with_a_key(client: httpx.AsyncClient):
    assert (await client.get("/api/v1/jobs", headers=ANN)).json() == {"success": True, "jobs": [], "cursor": None}
    answer = await client.post("/compose", json={"request": EDIT}, headers=ANN)
    assert answer.json() == (await client.post("/api/v1/generate", json=EDIT, headers=ANN)).json()
    assert answer.json()["success"] is True


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/v1/jobs"), ("POST", "/compose"), ("GET", "/nope")])
async def test_without_a_key_both_kinds_answer_401(client: httpx.AsyncClient, method: str, path: str):
    response = await client.request(method, path)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "UNAUTHORIZED")


async def test_the_body_limit_covers_the_native_route(client: httpx.AsyncClient):
    response = await client.post("/compose", content=megabytes(2), headers=ANN)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_the_rate_limit_covers_the_native_route(client: httpx.AsyncClient):
    statuses = [(await client.post("/compose", json={}, headers=ANN)).status_code for _ in range(4)]
    assert statuses == [400, 400, 400, 429]


@pytest.mark.parametrize("path", ["/nope", "/api/v1/nope", "/api/v1/jobs/", "/compose/"])
async def test_an_unknown_path_answers_404_in_the_envelope(client: httpx.AsyncClient, path: str):
    response = await client.get(path, headers=ANN)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(("method", "path"), [("GET", "/compose"), ("PUT", "/api/v1/generate")])
async def test_a_wrong_method_answers_405_in_the_envelope(client: httpx.AsyncClient, method: str, path: str):
    response = await client.request(method, path, headers=ANN)
    assert (response.status_code, response.json()["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")


async def test_the_bento_documents_the_mounted_routes_and_its_own(client: httpx.AsyncClient):
    document = (await client.get("/docs.json")).json()
    paths = set(document["paths"])
    assert {"/compose", "/metrics", *(path for path in app.openapi()["paths"])} <= paths
    generate = document["paths"]["/api/v1/generate"]["post"]["responses"]
    assert generate["422"]["content"]["application/json"]["examples"]["EMPTY_MASK"]["value"]["success"] is False
    assert document["components"]["schemas"]["GenerateRequest"]["example"]["prompt"]


async def test_probes_need_no_key(client: httpx.AsyncClient):
    for path in ("/livez", "/readyz", "/api/v1/health"):
        assert (await client.get(path)).status_code == 200


async def test_metrics_are_ours_and_label_native_routes_too(client: httpx.AsyncClient):
    await client.post("/compose", json={"request": EDIT}, headers=ANN)
    text = (await client.get("/metrics", headers=ANN)).text
    assert 'route="/compose"' in text
    assert "bentoml" not in text


NATIVE_POSTS = ("/compose", "/compose_task", "/compose_task/submit")
BODIES = {
    "multipart": {"files": {"request": ("request", json.dumps(EDIT), "application/json")}},
    "broken multipart": {"content": b"--x", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
    "no boundary": {"content": b"a", "headers": {"Content-Type": "multipart/form-data"}},
    "urlencoded": {"data": {"request": json.dumps(EDIT)}},
    "text": {"content": json.dumps({"request": EDIT}), "headers": {"Content-Type": "text/plain"}},
    "no type": {"content": json.dumps({"request": EDIT})},
    "pickle": {"content": b"\x80\x04N.", "headers": {"Content-Type": "application/vnd.bentoml+pickle"}},
    "octets": {"content": b"\x00", "headers": {"Content-Type": "application/octet-stream"}},
    "image": {"content": b"\x89PNG", "headers": {"Content-Type": "image/png"}},
    "many parts": {"content": b"{},\n" * 100_000, "headers": {"Content-Type": "application/json"}},
    "many parts in a list": {
        "content": b'{"request": [' + b"{}," * 100_000 + b"{}]}", "headers": {"Content-Type": "application/json"}
    },
    "deep": {"content": b'{"request": ' + b"[" * 9_000, "headers": {"Content-Type": "application/json"}},
    "not UTF-8": {"content": b'{"request": "\xff"}', "headers": {"Content-Type": "application/json"}},
    "a list": {"json": [EDIT]},
    "nothing": {},
    "another argument": {"json": {"request": EDIT, "ctx": {}}},
    "an argument of another type": {"json": {"request": "text"}},
}  # fmt: skip


@pytest.mark.parametrize("path", NATIVE_POSTS)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_native_route_takes_one_bounded_json_object_and_nothing_else(
    client: httpx.AsyncClient, path: str, body: dict[str, Any]
):
    request = {**body, "headers": {**ANN, **body.get("headers", {})}}
    response = await client.post(path, **request)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "INVALID_INPUT"), response.text


@pytest.mark.parametrize(
    "path",
    [
        "/compose%0a",
        "/compose_task/submit%0a",
        "/%63ompose_task/submit%0a",
        "/compose_task/submit/",
        "/x/../compose",
    ],
)
async def test_no_other_spelling_of_a_path_reaches_bentoml(client: httpx.AsyncClient, task_store: Path, path: str):
    response = await client.post(path, json={"request": EDIT}, headers=ANN)
    assert response.status_code in (200, 404)
    assert tasks_in(task_store) == 0


async def test_a_task_is_its_owner_s_durable_job(client: httpx.AsyncClient):
    task = (await client.post("/compose_task/submit", json={"request": EDIT}, headers=ANN)).json()
    asked = {"params": {"task_id": task["task_id"]}}
    job = (await client.get(f"/api/v1/status/{task['task_id']}", headers=ANN)).json()
    assert job["status"] == (await client.get("/compose_task/status", **asked, headers=ANN)).json()["status"]
    result = (await client.get("/compose_task/get", **asked, headers=ANN)).json()
    assert result == {"success": True, "result": job["result"]}
    for method, route in (("GET", "status"), ("GET", "get"), ("PUT", "cancel"), ("POST", "retry")):
        foreign = await client.request(method, f"/compose_task/{route}", **asked, headers=BOB)
        assert (foreign.status_code, foreign.json()["error"]["code"]) == (404, "NOT_FOUND")
    refused = await client.post("/compose_task/retry", **asked, headers=ANN)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "INVALID_INPUT")


async def test_bentoml_s_task_store_holds_nothing_of_a_request(client: httpx.AsyncClient, task_store: Path):
    for body in (EDIT, {**EDIT, "prompt": ""}):
        for path in NATIVE_POSTS[1:]:
            await client.post(path, json={"request": body}, headers=ANN)
    assert tasks_in(task_store) == 0
    kept = b"".join(file.read_bytes() for file in task_store.parent.glob("tasks.sqlite3*"))
    assert b"key-of-ann" not in kept
    assert EDIT["base_image"][:60].encode() not in kept


def tasks_in(store: Path) -> int:
    with sqlite3.connect(store) as db:
        (count,) = db.execute("SELECT count(*) FROM result").fetchone()
    return int(count)


async def test_bentoml_s_client_submits_follows_and_gets_a_task(client: httpx.AsyncClient):
    opened = AsyncHTTPClient("http://service", server_ready_timeout=0)
    vars(opened)["client"] = client
    client.headers.update(ANN)
    async with opened:
        task = await opened.compose_task.submit(request=EDIT)
        assert await task.get_status() is ResultStatus.COMPLETED
        assert (await task.get())["success"] is True
        await task.cancel()
        with pytest.raises(BentoMLException, match="submit it again"):
            await task.retry()
    opened._temp_dir.cleanup()


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_the_pages_are_ours_and_load_nothing_from_other_hosts(client: httpx.AsyncClient, path: str):
    text = (await client.get(path)).text
    assert ("/api/v1/generate" if path == "/docs" else 'id="app"') in text
    assert re.findall(r"(?:https?:)?//[\w.-]+", text) == []


@pytest.mark.parametrize("path", ["/static_content/swagger-ui-bundle.js", "/assets/bentoml-ui.umd.js", "/redoc"])
async def test_none_of_bentoml_s_pages_is_served(client: httpx.AsyncClient, path: str):
    assert (await client.get(path, headers=ANN)).status_code == 404


@pytest.mark.parametrize("shown", [True, False])
async def test_bentoml_s_schema_is_shown_only_with_the_documentation(shown: bool):
    async def bentoml(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("its schema")(scope, receive, send)

    guard = OwnRoutesGuard(bentoml, own=create_app(docs=shown), schema=shown)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=guard), base_url="http://service") as asking:
        assert (await asking.get("/schema.json")).status_code == (200 if shown else 404)
        assert (await asking.get("/livez")).text == "its schema"
