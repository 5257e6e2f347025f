"""One edit through every way in: with the same seed, and nothing embedded, the same bytes come out of all of them."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import bentoml
import httpx
import mcp as sdk
import openai
import pytest
from composition_client import Client

from composition.request import EditOptions
from tests.e2e.documents import ROOT
from tests.e2e.images import b64, encoded, photo

PHOTO = encoded(photo(300, 420), "jpeg")
REFERENCES = [encoded(photo(64, 80), "webp"), encoded(photo(72, 64), "png")]
PROMPT = "replace the head with a ball"
CONFIG = {"seed": 7, "num_inference_steps": 12}
FILES = [("base_image", ("photo.jpg", PHOTO)), *(("reference_images", ("r", image)) for image in REFERENCES)]
BODY = {"base_image": b64(PHOTO), "reference_images": [*map(b64, REFERENCES)], "prompt": PROMPT, "config": CONFIG}


def by_json(url, tmp_path):
    answer = httpx.post(f"{url}/api/v1/generate", json=BODY, timeout=300)
    assert answer.status_code == 200, answer.text
    return base64.b64decode(answer.json()["result"]["image"])


def by_curl(url, tmp_path):
    """A form, and the image itself as the answer."""
    for name, file in (("photo.jpg", PHOTO), ("0", REFERENCES[0]), ("1", REFERENCES[1])):
        (tmp_path / name).write_bytes(file)
    parts = ["base_image=@photo.jpg", "reference_images=@0", "reference_images=@1", f"prompt={PROMPT}"]
    parts += [f"config={json.dumps(CONFIG)}", "response_format=binary"]
    command = ["curl", "-sS", "--fail-with-body", f"{url}/api/v1/generate"]
    done = subprocess.run(
        [*command, *(word for part in parts for word in ("-F", part))], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def by_form(url, tmp_path):
    fields = {"prompt": PROMPT, "config": json.dumps(CONFIG)}
    answer = httpx.post(f"{url}/api/v1/generate", files=FILES, data=fields, timeout=300)
    assert answer.status_code == 200, answer.text
    return base64.b64decode(answer.json()["result"]["image"])


def by_openai_s_package(url, tmp_path):
    images = [("photo.jpg", PHOTO), *((f"{place}", image) for place, image in enumerate(REFERENCES))]
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        answer = client.images.edit(
            model="image-composition", image=images, prompt=PROMPT, quality="low", extra_body={"seed": CONFIG["seed"]}
        )
    return base64.b64decode(answer.data[0].b64_json)


def by_the_model_context_protocol(url, tmp_path):
    async def edited():
        async with sdk.Client(f"{url}/mcp", read_timeout_seconds=60) as client:
            job_id = (await client.call_tool("edit", BODY)).structured_content["job_id"]
            while True:
                followed = await client.call_tool("job", {"job_id": job_id, "wait_s": 20})
                assert not followed.is_error, followed
                if followed.structured_content["status"] not in ("pending", "processing"):
                    return base64.b64decode(followed.content[1].data)

    with ThreadPoolExecutor(1) as thread:  # an event loop of its own
        return thread.submit(asyncio.run, edited()).result()


def by_bentoml_s_client(url, tmp_path):
    with bentoml.SyncHTTPClient(url, timeout=300) as client:
        return base64.b64decode(client.compose(request=BODY)["result"]["image"])


def by_our_client(url, tmp_path):
    with Client(url) as client:
        return client.edit(PHOTO, PROMPT, reference=REFERENCES, **CONFIG).image


def by_our_command(url, tmp_path):
    for name, file in (("photo.jpg", PHOTO), ("0", REFERENCES[0]), ("1", REFERENCES[1])):
        (tmp_path / name).write_bytes(file)
    words = ["edit", "photo.jpg", PROMPT, "-r", "0", "-r", "1", "-o", "out.png", "--url", url]
    words += ["--seed", "7", "--num-inference-steps", "12"]
    path = {"PYTHONPATH": str(ROOT / "clients/python/src"), "PATH": ""}
    command = [sys.executable, "-m", "composition_client", *words]
    done = subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return (tmp_path / "out.png").read_bytes()


@pytest.fixture(scope="module")
def expected(service_url):
    return by_json(service_url, None)


@pytest.mark.parametrize(
    "way",
    [
        by_curl,
        by_form,
        by_openai_s_package,
        by_the_model_context_protocol,
        by_bentoml_s_client,
        by_our_client,
        by_our_command,
    ],
)
def test_every_way_gives_the_bytes_of_json(service_url, tmp_path, expected, way):
    assert EditOptions().embed_metadata is False
    assert way(service_url, tmp_path) == expected


def test_the_page_gives_the_bytes_of_json(visits, service_url, expected):
    visit = visits(service_url)
    visit.open()
    chosen = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": PHOTO}
    visit.page.get_by_label("Choose a photo").set_input_files(chosen)
    visit.page.get_by_label("What should change?").fill(PROMPT)
    for image, kind in zip(REFERENCES, ("webp", "png"), strict=True):
        given = {"name": f"r.{kind}", "mimeType": f"image/{kind}", "buffer": image}
        visit.page.locator(".reference input[type=file]").last.set_input_files(given)
    visit.page.wait_for_function("() => document.querySelectorAll('.reference img').length === 2")
    visit.set_number("Seed", "7")
    visit.set_number("Num inference steps", "12")
    visit.edit()
    assert visit.result() == expected
