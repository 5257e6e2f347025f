"""The Model Context Protocol's own client against a served instance: an edit as tools, over HTTP."""

from __future__ import annotations

import base64

import httpx
import mcp as sdk
import numpy as np
import pytest
from PIL import Image

from tests.e2e.images import b64, encoded, photo
from tests.e2e.test_loras import lora_for_the_served_model


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


async def follow(client, job_id):
    """The last answer of `job`, once it has completed."""
    status = "pending"
    while status in ("pending", "processing"):
        followed = await client.call_tool("job", {"job_id": job_id, "wait_s": 20})
        assert not followed.is_error, followed
        status = followed.structured_content["status"]
    assert status == "completed", followed.structured_content
    return followed


async def test_an_edit_by_tools_gives_the_bytes_of_rest(service_url, edit, result):
    async with sdk.Client(f"{service_url}/mcp", read_timeout_seconds=600) as client:
        shown = await client.call_tool("analyze", edit)
        job_id = (await client.call_tool("edit", edit)).structured_content["job_id"]
        followed = await follow(client, job_id)
    assert base64.b64decode(followed.content[1].data) == base64.b64decode(result["image"])
    assert shown.structured_content["metadata"]["routing"] == result["metadata"]["routing"]


async def test_several_edits_with_a_lora_that_was_added_and_is_deleted_again(service_url, edit):
    halves = []
    for half in (slice(0, 200), slice(220, 420)):
        mask = np.zeros((300, 420), np.uint8)
        mask[80:220, half] = 255
        halves.append({"type": "image", "data": b64(encoded(Image.fromarray(mask), "png")), "mimeType": "image/png"})
    edits = [{"prompt": "a red hat", "mask_image": halves[0]}, {"prompt": "a tree", "mask_image": halves[1]}]
    asked = {"base_image": edit["base_image"], "edits": edits, "config": {**edit["config"], "loras": {"agent": 1.0}}}
    async with sdk.Client(f"{service_url}/mcp", read_timeout_seconds=600) as client:
        refused = await client.call_tool("edit", asked)
        assert (refused.is_error, refused.structured_content["code"]) == (True, "INVALID_INPUT")
        file = base64.b64encode(lora_for_the_served_model(3)).decode()
        added = (await client.call_tool("add_lora", {"name": "agent", "file": file})).structured_content
        try:
            assert added in (await client.call_tool("loras", {})).structured_content["loras"]
            job_id = (await client.call_tool("edit", asked)).structured_content["job_id"]
            metadata = (await follow(client, job_id)).structured_content["result"]["metadata"]
        finally:
            deleted = await client.call_tool("delete_lora", {"name": "agent"})
    assert deleted.structured_content == added
    assert [lora["name"] for lora in metadata["loras"]] == ["agent"]
    assert [one["prompt"] for one in metadata["edits"]] == ["a red hat", "a tree"]
    assert all(one["region"] for one in metadata["edits"])
