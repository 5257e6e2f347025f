from __future__ import annotations

import logging

import httpx
import pytest
from starlette.datastructures import State
from starlette.responses import PlainTextResponse

from api.readiness import ReadinessProbe
from tests.unit.api.conftest import Edge


def probe(state: State) -> httpx.AsyncClient:
    app = ReadinessProbe(PlainTextResponse("behind", status_code=500), state=state)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://service")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_it_is_ready_when_the_models_are_loaded(edge: Edge, method: str):
    async with probe(State({"context": edge.context})) as client:
        assert (await client.request(method, "/readyz")).status_code == 200
        edge.health.report["ready"] = False
        assert (await client.request(method, "/readyz")).status_code == 503


async def test_it_leaves_a_line_only_when_it_says_no(edge: Edge, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, "api")
    async with probe(State({"context": edge.context})) as client:
        await client.get("/readyz")
        assert caplog.messages == []
        edge.health.report["ready"] = False
        await client.head("/readyz")
    assert caplog.messages == ["HEAD /readyz: NOT_READY: the models are not loaded"]


async def test_before_the_wiring_is_done_it_says_when_to_ask_again():
    async with probe(State({"context": None})) as client:
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "NOT_READY")
    assert answer.headers["retry-after"] == "5"


async def test_everything_else_passes(edge: Edge):
    async with probe(State({"context": edge.context})) as client:
        assert (await client.post("/readyz")).text == "behind"
        assert (await client.get("/livez")).text == "behind"
