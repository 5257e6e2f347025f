"""The Model Context Protocol's own client against a served instance: an edit as tools, over HTTP."""

from __future__ import annotations

import base64

import httpx
import mcp as sdk
import pytest

from tests.e2e.images import b64, encoded, photo


@pytest.fixture(scope="module")
def edit():
    return {
        "base_image": b64(encoded(photo(300, 420), "jpeg")),
        "prompt": "a red hat",
        "config": {"seed": 7, "num_inference_steps": 4},
    }


@pytest.fixture(scope="module")
def result(service_url, edit):
    """What REST answers."""
    answer = httpx.post(f"{service_url}/api/v1/generate", json=edit, timeout=300)
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


async def test_an_edit_by_tools_gives_the_bytes_of_rest(service_url, edit, result):
    async with sdk.Client(f"{service_url}/mcp", read_timeout_seconds=600) as client:
        shown = await client.call_tool("analyze", edit)
        job_id = (await client.call_tool("edit", edit)).structured_content["job_id"]
        status = "pending"
        while status in ("pending", "processing"):
            followed = await client.call_tool("job", {"job_id": job_id, "wait_s": 20})
            assert not followed.is_error, followed
            status = followed.structured_content["status"]
    assert status == "completed", followed.structured_content
    assert base64.b64decode(followed.content[1].data) == base64.b64decode(result["image"])
    assert shown.structured_content["metadata"]["routing"] == result["metadata"]["routing"]
