"""GET /version and /models: what is served, under which licences and terms."""

from __future__ import annotations

from composition.config import Config
from composition.served import ServedModel
from tests.unit.api.conftest import Edge, open_edge

TERMS = "https://shop.example/terms"


async def test_version_says_what_runs_and_where_the_terms_are():
    async with open_edge(Config.model_validate({"api": {"terms_url": TERMS}})) as edge:
        body = (await edge.client.get("/api/v1/version")).json()
    assert body["version"]
    assert (body["profile"], body["bento"], body["terms_url"]) == ("demo", None, TERMS)
    assert body["packages"].keys() == {"bentoml", "diffusers", "torch", "transformers"}


async def test_without_terms_the_url_is_null(edge: Edge):
    assert (await edge.client.get("/api/v1/version")).json()["terms_url"] is None


async def test_models_have_repository_revision_and_licence(edge: Edge):
    sam = ServedModel(
        name="sam",
        repository="facebook/sam-vit-base",
        revision="70c1",
        licence="Apache-2.0",
        optional=False,
        present=True,
    )
    object.__setattr__(edge.context, "served", (sam,))
    body = (await edge.client.get("/api/v1/models")).json()
    assert body["profile"] == "demo"
    assert body["models"] == [
        {
            "name": "sam",
            "repository": "facebook/sam-vit-base",
            "revision": "70c1",
            "licence": "Apache-2.0",
            "optional": False,
            "present": True,
        }
    ]


async def test_with_keys_both_need_one():
    async with open_edge(Config.model_validate({"api": {"api_keys": {"shop": "k"}}})) as edge:
        for path in ("/api/v1/version", "/api/v1/models"):
            assert (await edge.client.get(path)).status_code == 401
            assert (await edge.client.get(path, headers={"X-API-Key": "k"})).status_code == 200
