"""The app and its guards mounted on a BentoML service, as service.py does it, without models."""

from __future__ import annotations

from collections.abc import AsyncIterator

import bentoml
import httpx
import pytest

from api.app import create_app
from api.codec import PillowCodec
from api.context import ApiContext
from api.documentation import serve_whole_document
from api.security import guards
from composition.config import ApiConfig, Config
from tests.fakes.fake_blob_store import FakeBlobStore
from tests.fakes.fake_fetcher import FakeFetcher
from tests.fakes.fake_job_queue import FakeJobQueue
from tests.fakes.fake_model_health import FakeModelHealth

# BentoML reads pydantic's model_fields from an instance, which newer pydantic versions warn about.
pytestmark = pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute")

CONFIG = Config(api=ApiConfig(max_request_size_mb=1, api_keys={"ann": "key-of-ann"}, rate_limit_per_minute=3))
ANN = {"X-API-Key": "key-of-ann"}
app = create_app()


@bentoml.service(name="mounted-edge", metrics={"enabled": False})
@bentoml.asgi_app(app, path="/")
class MountedEdge:
    @bentoml.api(route="/compose")
    def compose(self, text: str) -> str:
        return text


serve_whole_document(app, lambda: MountedEdge.openapi_spec.asdict())
for guard, options in guards(CONFIG.api, app.state.metrics):
    MountedEdge.add_asgi_middleware(guard, **options)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app.state.context = ApiContext(
        config=CONFIG,
        queue=FakeJobQueue(),
        blobs=FakeBlobStore(),
        codec=PillowCodec(max_side_px=2048),
        fetcher=FakeFetcher(),
        health=FakeModelHealth(),
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


async def test_routes_of_both_kinds_answer_with_a_key(client: httpx.AsyncClient):
    assert (await client.get("/api/v1/jobs", headers=ANN)).json() == {"success": True, "jobs": [], "cursor": None}
    assert (await client.post("/compose", json={"text": "hi"}, headers=ANN)).text == "hi"


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/v1/jobs"), ("POST", "/compose"), ("GET", "/nope")])
async def test_without_a_key_both_kinds_answer_401(client: httpx.AsyncClient, method: str, path: str):
    response = await client.request(method, path)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "UNAUTHORIZED")


async def test_the_body_limit_covers_the_native_route(client: httpx.AsyncClient):
    response = await client.post("/compose", content=megabytes(2), headers=ANN)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_the_rate_limit_covers_the_native_route(client: httpx.AsyncClient):
    statuses = [(await client.post("/compose", json={"text": "hi"}, headers=ANN)).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]


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
    await client.post("/compose", json={"text": "hi"}, headers=ANN)
    text = (await client.get("/metrics", headers=ANN)).text
    assert 'route="/compose"' in text
    assert "bentoml" not in text
