"""The list of routes: nothing is loaded from another host, and all documentation can be closed."""

from __future__ import annotations

import re

import pytest

from composition.config import ApiConfig, Config
from tests.unit.api.conftest import open_edge

PAGES = ("/", "/docs")
DOCUMENTATION = (*PAGES, "/openapi.json", "/docs.json", "/redoc", "/schema.json", "/docs/oauth2-redirect")


@pytest.mark.parametrize("path", PAGES)
async def test_without_the_page_for_people_every_route_is_named_and_no_other_host(path: str):
    async with open_edge(Config(api=ApiConfig(page=False))) as edge:
        answer = await edge.client.get(path)
    assert answer.headers["content-type"].startswith("text/html")
    assert "POST /api/v1/generate/async" in answer.text
    assert re.findall(r"(?:https?:)?//[\w.-]+", answer.text) == []
    assert "<script" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def test_the_documentation_can_be_closed():
    async with open_edge(Config(api=ApiConfig(docs=False))) as edge:
        for path in DOCUMENTATION:
            answer = await edge.client.get(path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND"), path
