"""What an operator sees of a running server: series of every process at one place, and no prompt anywhere."""

from __future__ import annotations

import re

import httpx

from benchmarks.observe import names_in, photo, queries
from tests.e2e.black_box.client import eventually

WORD = "zanzibar"
PROCESSES = {"front", "perception", "diffusion"}
WHEN_IT_HAPPENS = {"composition_device_memory_bytes", "composition_webhooks_total"}


def names_of(text: str) -> set[str]:
    return set(re.findall(r"^(composition_\w+)", text, re.MULTILINE))


def test_one_scrape_has_what_the_dashboard_asks_of_every_process(service_url, tmp_path_factory):
    body = {"base_image": photo(), "prompt": f"{WORD} car", "config": {"num_inference_steps": 2, "seed": 7}}
    assert httpx.post(f"{service_url}/api/v1/generate", json=body, timeout=180).status_code == 200

    def scraped() -> str:
        return httpx.get(f"{service_url}/metrics", timeout=30).text

    asked = {name for _, expression in queries() for name in names_in(expression)} - WHEN_IT_HAPPENS
    assert eventually(lambda: asked <= names_of(scraped()), timeout_s=60), asked - names_of(scraped())
    text = scraped()
    resident = re.findall(r'^composition_process_resident_memory_bytes{process="(\w+)"} (\S+)', text, re.MULTILINE)
    assert {process for process, size in resident if float(size) > 10e6} == PROCESSES
    logs = list(tmp_path_factory.getbasetemp().glob("serve*/serve.log"))
    assert logs
    for written in (text, *(log.read_text(errors="replace") for log in logs)):
        assert WORD not in written


def test_version_and_models_say_what_is_served(service_url):
    version = httpx.get(f"{service_url}/api/v1/version", timeout=30).json()
    models = httpx.get(f"{service_url}/api/v1/models", timeout=30).json()
    assert version["profile"] == models["profile"]
    inpainting = next(model for model in models["models"] if model["name"] == "sd-inpainting")
    assert inpainting["licence"]
    assert inpainting["present"] is True
