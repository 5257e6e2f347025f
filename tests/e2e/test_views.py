"""Several photographs of one thing by every way in: JSON, a form, the client, and an agent's tool."""

from __future__ import annotations

import base64
import io
import json

import httpx
import mcp as sdk
import numpy as np
import pytest
from composition_client import AsyncClient
from PIL import Image

from tests.e2e.images import b64, encoded, photo
from tests.e2e.test_mcp import follow

PROMPT, CONFIG = "make the car red", {"seed": 7, "num_inference_steps": 2}
PHOTOGRAPHS = [encoded(photo(256, 320), "png"), encoded(photo(320, 288), "jpeg"), encoded(photo(300, 300), "webp")]
SIZES = [(320, 256), (288, 320), (300, 300)]


@pytest.fixture(scope="module")
def result(service_url):
    """What JSON is answered."""
    body = {"base_images": [b64(one) for one in PHOTOGRAPHS], "prompt": PROMPT, "config": CONFIG}
    answer = httpx.post(f"{service_url}/api/v1/views", json=body, timeout=300)
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


@pytest.fixture(scope="module")
def images(result) -> list[bytes]:
    return [base64.b64decode(image) for image in result["images"]]


def test_every_photograph_comes_back_at_its_size_and_beside_its_region_as_it_was(result, images):
    assert [Image.open(io.BytesIO(image)).size for image in images] == SIZES
    assert base64.b64decode(result["image"]) == images[0]
    for sent, made, view in zip(PHOTOGRAPHS, images, result["metadata"]["views"], strict=True):
        before, after = (np.asarray(Image.open(io.BytesIO(file)).convert("RGB")).astype(int) for file in (sent, made))
        differs = np.abs(before - after).max(axis=2) > 0
        left, top, right, bottom = view["region"] or (0, 0, 0, 0)
        assert differs[top:bottom, left:right].any() or view["region"] is None
        rim = 32 if view["region"] else 0
        differs[max(0, top - rim) : bottom + rim, max(0, left - rim) : right + rim] = False
        assert not differs.any()


def test_a_form_is_answered_the_same(service_url, images):
    parts = [("base_images", ("photo", one)) for one in PHOTOGRAPHS]
    texts = {"prompt": PROMPT, "config": json.dumps(CONFIG)}
    answer = httpx.post(f"{service_url}/api/v1/views", files=parts, data=texts, timeout=300)
    assert answer.status_code == 200, answer.text
    assert [base64.b64decode(image) for image in answer.json()["result"]["images"]] == images


async def test_the_client_and_an_agent_get_the_same(service_url, images):
    async with AsyncClient(service_url) as client:
        edit = await client.edit_views(PHOTOGRAPHS, PROMPT, **CONFIG)
        job_id = await client.submit_views(PHOTOGRAPHS, PROMPT, **CONFIG)
        later = await client.wait(job_id)
        assert await client.image(job_id, index=2) == images[2]
    assert edit.candidates == later.candidates == images
    assert [view.input_resolution for view in edit.views] == ["320x256", "288x320", "300x300"]
    async with sdk.Client(f"{service_url}/mcp", read_timeout_seconds=600) as agent:
        asked = {"base_images": [b64(one) for one in PHOTOGRAPHS], "prompt": PROMPT, "config": CONFIG}
        submitted = await agent.call_tool("edit_views", asked)
        followed = await follow(agent, submitted.structured_content["job_id"])
    assert [base64.b64decode(image.data) for image in followed.content[1:]] == images
