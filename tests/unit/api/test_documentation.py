"""The OpenAPI documents: what they say about keys holds, and BentoML's part fits beside ours."""

from __future__ import annotations

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.app import create_app
from api.documentation import joined, serve_whole_document
from api.security import install_guards
from composition.config import ApiConfig, Config
from tests.unit.api.conftest import Edge, open_edge

KEYS = ApiConfig(api_keys={"ann": "secret"})


def native_document() -> dict:
    """As BentoML gives it: the wrong version, one operation id twice, a probe, a path that we have too."""
    answer = {"responses": {"200": {"description": "fine"}}}
    refused = {"$ref": "#/components/schemas/Refused"}
    failing = {"responses": {"400": {"description": "bad", "content": {"application/json": {"schema": refused}}}}}
    return {
        "openapi": "3.0.2",
        "tags": [{"name": "Service APIs"}],
        "paths": {
            "/livez": {"get": {**answer}},
            "/metrics": {"get": {**answer, "description": "BentoML's"}},
            "/task/retry": {"post": {**failing, "operationId": "retry"}},
            "/task/cancel": {"put": {**answer, "operationId": "retry"}},
        },
        "components": {"schemas": {"Refused": {"type": "object"}, "task__Input": {"type": "object"}}},
    }


def presented(scheme: dict[str, str], key: str) -> dict[str, str]:
    """The headers that a client sends who reads nothing but the scheme."""
    if scheme["type"] == "http":
        return {"Authorization": f"{scheme['scheme'].title()} {key}"}
    assert (scheme["type"], scheme["in"]) == ("apiKey", "header")
    return {scheme["name"]: key}


async def test_each_documented_way_to_present_a_key_lets_in_with_the_right_one_only():
    async with open_edge(Config(api=KEYS)) as edge:
        schemes = create_app(keys_needed=True).openapi()["components"]["securitySchemes"]
        assert len(schemes) == 2
        for scheme in schemes.values():
            for key, status in (("secret", 200), ("guess", 401)):
                answer = await edge.client.get("/api/v1/jobs", headers=presented(scheme, key))
                assert answer.status_code == status, scheme


async def test_a_path_needs_a_key_exactly_where_the_document_says_so():
    app = create_app(keys_needed=True)
    install_guards(app, KEYS)
    document = app.openapi()
    assert document["security"] == [{"bearer": []}, {"header": []}]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://service") as client:
        for path, item in document["paths"].items():
            for method, operation in item.items():
                answer = await client.request(method, path)
                assert (answer.status_code == 401) is (operation.get("security", document["security"]) != []), path


def test_without_configured_keys_a_key_may_be_left_out():
    assert {} in create_app().openapi()["security"]


def test_the_joined_document_is_ours_with_what_only_bentoml_has():
    ours = create_app().openapi()
    whole = joined(ours, native_document())
    assert whole["paths"].keys() - ours["paths"].keys() == {"/livez", "/task/retry", "/task/cancel"}
    assert whole["paths"]["/metrics"] == ours["paths"]["/metrics"]
    assert whole["components"]["schemas"].keys() - ours["components"]["schemas"].keys() == {"Refused"}
    assert whole["paths"]["/livez"]["get"]["security"] == []
    assert "/livez" not in ours["paths"]


@pytest.mark.parametrize("keys_needed", [True, False])
def test_both_documents_are_valid_openapi_of_the_version_they_name(keys_needed: bool):
    ours = create_app(keys_needed=keys_needed).openapi()
    for document in (ours, joined(ours, native_document())):
        assert document["openapi"].startswith("3.1.")
        assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


async def test_the_whole_document_is_served_as_docs_json():
    app = create_app()
    serve_whole_document(app, native_document)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://service") as client:
        assert (await client.get("/docs.json")).json() == joined(app.openapi(), native_document())


async def test_the_documented_example_is_accepted_as_it_stands(edge: Edge):
    example = create_app().openapi()["components"]["schemas"]["GenerateRequest"]["example"]
    answer = await edge.client.post("/api/v1/generate", json=example)
    assert answer.status_code == 200, answer.text
