"""The drain switch: who may turn it, what it refuses, what goes on."""

from __future__ import annotations

import httpx
import pytest
from starlette.datastructures import State
from starlette.responses import PlainTextResponse

from api.app import edit_paths
from api.drain import DrainSwitch
from api.readiness import ReadinessProbe
from api.security.wrong_keys import WRONG_KEYS_PER_MINUTE, WrongKeys
from composition.config import Config
from composition.jobs import JobStatus
from tests.unit.api.conftest import Edge, open_edge
from tests.unit.api.images import photo

DRAIN = "/api/v1/admin/drain"
KEY = {"Authorization": "Bearer s3cret"}
EDIT = {"base_image": photo(), "prompt": "blue car"}


@pytest.fixture(params=[{}, {"shop": "shop-key"}], ids=["open", "with API keys"])
async def edge(request):
    api = {"admin_key": "s3cret", "api_keys": request.param}
    async with open_edge(Config.model_validate({"api": api})) as opened:
        opened.client.headers.update({"X-API-Key": "shop-key"} if request.param else {})
        yield opened


async def ready(edge: Edge) -> int:
    app = ReadinessProbe(PlainTextResponse("behind"), state=State({"context": edge.context}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://service") as client:
        return (await client.get("/readyz")).status_code


async def test_draining_refuses_new_work_says_so_and_lets_the_rest_go_on(edge: Edge):
    job_id = (await edge.client.post("/api/v1/generate/async", json=EDIT)).json()["job_id"]
    assert await ready(edge) == 200
    answer = await edge.client.post(DRAIN, headers=KEY)
    assert (answer.status_code, answer.json()["draining"]) == (200, True)
    for path in sorted(edit_paths()):
        refused = await edge.client.post(path, json=EDIT)
        assert (refused.status_code, refused.json()["error"]["code"].upper()) == (503, "NOT_READY"), path
        assert "draining" in refused.json()["error"]["message"]
        assert refused.headers["retry-after"] == "30"
    repeated = await edge.client.post("/api/v1/generate/async", json=EDIT, headers={"Idempotency-Key": "k"})
    assert repeated.status_code == 503
    assert len(edge.queue.jobs) == 1
    assert (await edge.client.get(f"/api/v1/status/{job_id}")).status_code == 200
    assert await ready(edge) == 503
    health = await edge.client.get("/api/v1/health")
    assert (health.status_code, health.json()["draining"]) == (200, True)


async def test_it_is_turned_back_and_tells_what_is_left(edge: Edge):
    async def counts():
        return {JobStatus.PENDING: 4, JobStatus.PROCESSING: 2, JobStatus.COMPLETED: 9}

    edge.queue.counts = counts
    await edge.client.post(DRAIN, headers=KEY)
    assert (await edge.client.get(DRAIN, headers=KEY)).json() == {"draining": True, "pending": 4, "processing": 2}
    assert (await edge.client.delete(DRAIN, headers=KEY)).json()["draining"] is False
    assert (await edge.client.post("/api/v1/generate", json=EDIT)).status_code == 200
    assert await ready(edge) == 200


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_nobody_else_turns_it(edge: Edge, method: str):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"X-API-Key": "shop-key"}):
        answer = await edge.client.request(method, DRAIN, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHORIZED")
    assert not edge.context.drain.on


async def test_guessing_tells_nothing_and_locks_out_nobody_who_was_let_in(edge: Edge):
    app = edge.client._transport.app
    wrong = {"Authorization": "Bearer wrong"}
    for let_in, expected in ((False, 429), (True, 200)):
        app.state.wrong_admin_keys = WrongKeys(clock=lambda: 0.0)
        if let_in:
            await edge.client.get(DRAIN, headers=KEY)
        statuses = [(await edge.client.get(DRAIN, headers=wrong)).status_code for _ in range(WRONG_KEYS_PER_MINUTE + 1)]
        assert statuses == [401] * WRONG_KEYS_PER_MINUTE + [429]
        assert (await edge.client.get(DRAIN, headers=KEY)).status_code == expected


async def test_without_an_admin_key_there_is_no_such_route():
    async with open_edge() as edge:
        answer = await edge.client.post(DRAIN, headers=KEY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
    assert not edge.context.drain.on


def test_all_processes_of_a_server_share_the_switch(tmp_path):
    one, other = DrainSwitch(tmp_path / "draining"), DrainSwitch(tmp_path / "draining")
    one.turn(on=True)
    assert other.on
    other.turn(on=False)
    other.turn(on=False)
    assert not one.on
