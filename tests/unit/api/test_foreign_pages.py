"""What stops a page of another site from using the service through its visitor's browser."""

from __future__ import annotations

import pytest

from composition.config import ApiConfig, Config
from tests.unit.api.conftest import Edge, open_edge
from tests.unit.api.images import encoded, gradient, photo

FORM = {"data": {"prompt": "x"}, "files": {"base_image": ("f", encoded(gradient()))}}
EDIT = {"base_image": photo(), "prompt": "x"}
SHOP = "https://shop.example"
FOREIGN = {
    "another site": {"Origin": "https://evil.example"},
    "another port": {"Origin": "http://service:81"},
    "no origin to speak of": {"Origin": "null"},
    "no origin at all": {"Origin": "http://[service"},
    "what the browser calls cross-site": {"Sec-Fetch-Site": "cross-site", "Origin": "http://service"},
    "a sister's": {"Sec-Fetch-Site": "same-site"},
}
OWN = {
    "a client that is no browser": {},
    "the service's own page": {"Origin": "http://service"},
    "the service's own page behind TLS": {"Origin": "https://SERVICE"},
    "the service's own page behind a proxy": {"Sec-Fetch-Site": "same-origin", "Origin": SHOP},
    "a person": {"Sec-Fetch-Site": "none"},
}


@pytest.mark.parametrize("path", ["/api/v1/generate", "/api/v1/generate/async", "/api/v1/analyze"])
@pytest.mark.parametrize("case", FOREIGN)
async def test_a_foreign_page_can_post_no_form(edge: Edge, path: str, case: str):
    answer = await edge.client.post(path, **FORM, headers=FOREIGN[case])
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")
    assert edge.queue.jobs == {}


@pytest.mark.parametrize("case", OWN)
async def test_who_is_no_foreign_page_can(edge: Edge, case: str):
    assert (await edge.client.post("/api/v1/generate", **FORM, headers=OWN[case])).status_code == 200


async def test_a_foreign_page_can_neither_send_json_nor_cancel(edge: Edge):
    headers = FOREIGN["another site"]
    assert (await edge.client.post("/api/v1/generate", json=EDIT, headers=headers)).status_code == 403
    job = (await edge.client.post("/api/v1/generate/async", json=EDIT)).json()["job_id"]
    assert (await edge.client.delete(f"/api/v1/jobs/{job}", headers=headers)).status_code == 403
    assert edge.queue.cancelled == []


async def test_reading_is_left_to_cors(edge: Edge):
    assert (await edge.client.get("/api/v1/jobs", headers=FOREIGN["another site"])).status_code == 200


@pytest.mark.parametrize("headers", [{"Origin": SHOP}, {"Origin": SHOP, "Sec-Fetch-Site": "cross-site"}])
@pytest.mark.parametrize("origins", [(SHOP,), ("*",)])
async def test_a_page_that_is_allowed_may(origins: tuple[str, ...], headers: dict[str, str]):
    async with open_edge(Config(api=ApiConfig(cors_origins=origins))) as edge:
        assert (await edge.client.post("/api/v1/generate", **FORM, headers=headers)).status_code == 200


async def test_with_keys_the_key_decides():
    async with open_edge(Config(api=ApiConfig(api_keys={"ann": "key"}))) as edge:
        headers = {**FOREIGN["another site"], "Authorization": "Bearer key"}
        assert (await edge.client.post("/api/v1/generate", **FORM, headers=headers)).status_code == 200
