"""A LoRA is uploaded, acts in an edit, is told, and is gone when it is deleted."""

from __future__ import annotations

import json
import struct

import httpx
import numpy as np
import pytest
from safetensors.numpy import save

from composition.config import load_config
from models_store.store import ModelSet
from tests.e2e.images import b64, corner_mask, encoded, from_b64, photo

SIDE = 256


@pytest.fixture(scope="module")
def client(service_url):
    with httpx.Client(base_url=service_url, timeout=300) as client:
        yield client


def lora_for_the_served_model(seed: int) -> bytes:
    """For every layer of the UNet that reads the prompt, by the names and shapes of its own file."""
    models = ModelSet(load_config().models)
    folder = models.path(models.base_role) / "unet"
    weights = min(folder.glob("*.safetensors"), key=lambda path: "fp16" in path.name)
    with weights.open("rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    rng, tensors = np.random.default_rng(seed), {}
    for name, entry in header.items():
        if name.endswith("attn2.to_v.weight"):
            key = "lora_unet_" + name.removesuffix(".weight").replace(".", "_")
            rows, columns = entry["shape"]
            tensors[f"{key}.lora_down.weight"] = rng.normal(0, 0.5, (4, columns)).astype(np.float16)
            tensors[f"{key}.lora_up.weight"] = rng.normal(0, 0.5, (rows, 4)).astype(np.float16)
    return save(tensors, {"modelspec.trigger_phrase": "ink wash"})


def edit(client, **config):
    body = {
        "base_image": b64(encoded(photo(SIDE, SIDE), "png")),
        "mask_image": b64(corner_mask(SIDE, SIDE)),
        "prompt": "a glass ball",
        "config": {"seed": 7, "num_inference_steps": 2, **config},
    }
    return client.post("/api/v1/generate", json=body)


def test_an_uploaded_lora_acts_is_told_and_can_be_deleted(client):
    answer = client.post("/api/v1/loras", files={"file": ("ink.safetensors", lora_for_the_served_model(1))})
    assert answer.status_code == 200, answer.text
    lora = answer.json()["lora"]
    assert (lora["name"], lora["parts"], lora["ranks"], lora["trigger_words"]) == ("ink", ["unet"], [4], ["ink wash"])
    try:
        plain, off, on, again = (
            edit(client, **config).json()["result"]
            for config in ({}, {"loras": {"ink": 0}}, {"loras": {"ink": 1}}, {"loras": {"ink": 1}})
        )
        inside = from_b64(b64(corner_mask(SIDE, SIDE))) == 255
        images = [from_b64(result["image"]) for result in (plain, off, on, again)]
        assert np.array_equal(images[0], images[1])
        assert any("a LoRA of weight 0 has no effect: ink" in warning for warning in off["metadata"]["warnings"])
        assert (images[2][inside] != images[0][inside]).mean() > 0.1
        assert np.array_equal(images[2], images[3])
        assert (plain["metadata"]["loras"], off["metadata"]["loras"]) == ([], [])
        assert on["metadata"]["loras"] == [
            {"name": "ink", "kind": "lora", "weight": 1.0, "sha256": lora["sha256"], "trigger_words": ["ink wash"]}
        ]
        assert "ink" in on["models_used"]
        assert "ink" not in client.get("/api/v1/health").json()["models_loaded"]
    finally:
        assert client.delete("/api/v1/loras/ink").status_code == 200
    gone = edit(client, loras={"ink": 1})
    assert (gone.status_code, gone.json()["error"]["code"]) == (400, "INVALID_INPUT")
