"""Whole edits over REST on the tiny models: pixels, sizes, seeds, company."""

from __future__ import annotations

import concurrent.futures
import json
import socket
from contextlib import contextmanager

import httpx
import numpy as np
import pytest

from benchmarks.demo import run_case
from benchmarks.demo_cases import photo_cases
from tests.e2e.black_box.client import eventually
from tests.e2e.images import b64, corner_mask, decoded, encoded, from_b64, photo


@pytest.fixture(scope="module")
def client(service_url):
    with httpx.Client(base_url=service_url, timeout=600) as client:
        yield client


def generate(client, **body):
    answer = client.post("/api/v1/generate", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


KINDS = ["png", "jpeg", "jpeg-rotated", "webp", "rgba"]
PHOTOS = [
    *((517, 333, kind) for kind in KINDS),
    *((256, 256, "png"), (683, 1024, "jpeg-rotated"), (683, 1024, "webp"), (2048, 2048, "jpeg")),
]
"""Every format at a size that no stride divides, and every size: a format has to do with sizes in the decoder alone."""


@pytest.mark.parametrize(("height", "width", "kind"), PHOTOS)
def test_every_pixel_outside_the_mask_is_the_decoded_inputs(client, height, width, kind):
    data = encoded(photo(height, width), kind)
    before = decoded(data)
    height, width = before.shape[:2]
    result = generate(
        client,
        base_image=b64(data),
        prompt="a glass ball",
        mask_image=b64(corner_mask(height, width)),
        config={"seed": 7, "num_inference_steps": 2, "return_mask": True, "keep_parts": "off"},
    )
    after, mask = from_b64(result["image"]), from_b64(result["mask"])
    assert after.shape == before.shape
    assert mask.shape == before.shape[:2]
    outside = mask == 0
    assert outside.mean() > 0.7
    assert np.array_equal(after[outside], before[outside])
    assert (after[mask == 255] != before[mask == 255]).any(axis=1).mean() > 0.5
    assert result["metadata"]["output_resolution"] == f"{width}x{height}"


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(client):
    body = {"base_image": b64(encoded(photo(300, 300), "png")), "prompt": "red hat"}
    first, again, other = (
        generate(client, **body, config={"num_inference_steps": 4, "seed": seed})["image"] for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other


def test_requests_in_company_give_the_images_they_give_alone(client):
    bodies = []
    for index in range(6):
        body = {
            "base_image": b64(encoded(photo(256 + 40 * index, 300), "png")),
            "prompt": ["red cup", "replace the head with a ball", "person wearing this jacket"][index % 3],
            "config": {"seed": index, "num_inference_steps": 3 + index, "guidance_scale": 1.0 + index},
        }
        if index % 2:
            body["reference_image"] = b64(encoded(photo(256, 256 + 10 * index), "png"))
        if index == 4:
            body["config"]["force_controlnet"] = True
        bodies.append(body)
    alone = [from_b64(generate(client, **body)["image"]) for body in bodies]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        company = [from_b64(r["image"]) for r in pool.map(lambda body: generate(client, **body), bodies)]
    for one, other in zip(alone, company, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 1


@contextmanager
def client_that_leaves(service_url, body):
    """Sends an edit and goes away at the end of the block, without having waited for the answer."""
    url, content = httpx.URL(service_url), json.dumps(body).encode()
    head = f"POST /api/v1/generate HTTP/1.1\r\nHost: {url.host}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((url.host, url.port)) as connection:
        connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        yield


def test_a_client_that_leaves_takes_its_running_edit_with_it(client, service_url):
    body = {
        "base_image": b64(encoded(photo(512, 512), "png")),
        "prompt": "a red hat that nobody waits for",
        "config": {"num_inference_steps": 100},
    }

    def job_in(*statuses):
        jobs = client.get("/api/v1/jobs").json()["jobs"]
        return next((job for job in jobs if job["prompt"] == body["prompt"] and job["status"] in statuses), None)

    with client_that_leaves(service_url, body):
        eventually(lambda: (job := job_in("processing")) and job["stage"] == "diffuse" and job["progress"] > 0)
    ended = eventually(lambda: job_in("completed", "failed", "cancelled"))
    assert (ended["status"], ended["error_code"]) == ("cancelled", "CANCELLED")
    assert ended["progress"] < 1


def test_health_names_the_models_that_are_loaded(client):
    health = client.get("/api/v1/health").json()
    assert health["status"] == "healthy"
    assert {"sd-inpainting", "grounding-dino", "yolox"} <= set(health["models_loaded"])
    assert health["gpu_available"] is False


def test_the_documentation_lists_every_route(client):
    paths = set(client.get("/docs.json").json()["paths"])
    assert {
        "/api/v1/generate",
        "/api/v1/generate/async",
        "/api/v1/status/{job_id}",
        "/api/v1/analyze",
        "/api/v1/jobs",
        "/api/v1/health",
        "/compose",
    } <= paths


def test_the_demo_runs_the_four_cases_by_the_pipelines_that_the_specification_names(client):
    results = [run_case(client, case) for case in photo_cases()]
    assert [result["pipeline_used"] for result in results] == ["complex", "complex", "simple", "simple"]
    rules = [result["metadata"]["routing"]["rule"] for result in results]
    assert rules == ["try_on", "structural_object", "appearance", "appearance"]
    assert [name for name in results[0]["models_used"] if "controlnet" in name] == ["controlnet-pose"]
    assert [name for name in results[1]["models_used"] if "controlnet" in name] == ["controlnet-depth"]


@pytest.mark.parametrize("case", ["user", "found", "worn"])
def test_an_analysis_shows_the_mask_that_the_edit_was_blended_with(client, case):
    body = {"base_image": b64(encoded(photo(300, 420), "png")), "prompt": "replace the head with a ball"}
    if case == "user":
        body["mask_image"] = b64(corner_mask(300, 420))
    if case == "worn":
        body["prompt"] = "person wearing this jacket"
    shown = client.post("/api/v1/analyze", json=body).json()["result"]
    edit = generate(client, **body, config={"seed": 7, "num_inference_steps": 1, "return_mask": True})
    mask = from_b64(shown["mask"])
    assert np.array_equal(mask, from_b64(edit["mask"]))
    assert shown["metadata"]["mask_area"] == edit["metadata"]["mask_area"] == (mask > 0).mean()


@pytest.mark.parametrize(("speed", "role"), [("fast", "lcm-lora"), ("turbo", "tcd-lora")])
def test_an_edit_of_few_steps_uses_the_lora_of_its_speed(client, speed, role):
    body = {"base_image": b64(encoded(photo(256, 256), "png")), "prompt": "red hat", "config": {"speed": speed}}
    assert role in generate(client, **body)["models_used"]


def test_the_same_photo_again_asks_no_extractor_again(client):
    body = {
        "base_image": b64(encoded(photo(300, 320), "png")),
        "prompt": "replace the head with a ball",
        "config": {
            "control_types": ["pose", "depth"],
            "num_inference_steps": 1,
            "seed": 1,
            "keep_surroundings": "off",  # what was painted is another image
        },
    }
    first = generate(client, **body)["metadata"]["cache"]
    again = generate(client, **{**body, "config": {**body["config"], "seed": 2}})["metadata"]["cache"]
    asked = {"objects", "detections", "pose", "depth"}
    assert {name: first[name] for name in asked} == dict.fromkeys(asked, "miss")
    assert {name: again[name] for name in asked} == dict.fromkeys(asked, "hit")
    assert "miss" not in again.values()
