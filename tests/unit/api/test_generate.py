from __future__ import annotations

import base64

from tests.unit.api.conftest import ACCOUNT, Edge
from tests.unit.api.pictures import encoded, gradient, photo


async def test_an_edit_answers_the_specified_body(edge: Edge):
    response = await edge.client.post("/api/v1/generate", json={"base_image": photo(), "prompt": "blue car"})
    assert response.status_code == 200
    body = response.json()
    assert set(body) == {"success", "result"}
    assert body["success"] is True
    assert set(body["result"]) == {"image", *ACCOUNT}
    assert base64.b64decode(body["result"]["image"], validate=True) == encoded(gradient())
    assert {key: body["result"][key] for key in ACCOUNT} == ACCOUNT


async def test_health_answers_the_specified_body(edge: Edge):
    response = await edge.client.get("/api/v1/health")
    assert response.status_code == 200
    assert response.json() == {
        "status": "healthy",
        "models_loaded": ["grounding-dino", "sd-inpainting"],
        "gpu_available": False,
        "gpu_memory_free_mb": 0,
    }
