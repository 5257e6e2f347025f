"""Forms and OpenAI's route against a served instance; page/test_every_way.py has one edit through every way in."""

from __future__ import annotations

import base64
import io
import json
import re
import socket

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.e2e.documents import ROOT, SERVICE
from tests.e2e.images import b64, corner_mask, encoded, photo

PHOTO, REFERENCE = encoded(photo(300, 420), "jpeg"), encoded(photo(64, 80), "webp")
PROMPT = "replace the head with a ball"


def holed(mask):
    """A mask as OpenAI has it: what is to be repainted is transparent."""
    white = np.asarray(Image.open(io.BytesIO(mask)))
    image = Image.new("RGBA", white.shape[::-1], (9, 9, 9, 255))
    image.putalpha(Image.fromarray(255 - white))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


MASK = holed(corner_mask(300, 420))


@pytest.fixture(scope="module")
def client(service_url):
    with httpx.Client(base_url=service_url, timeout=600) as client:
        yield client


@pytest.fixture(scope="module")
def image_of_json(client):
    """What POST /api/v1/generate answers."""
    images = {"base_image": b64(PHOTO), "reference_image": b64(REFERENCE), "mask_image": b64(MASK)}
    config = {"seed": 7, "num_inference_steps": 12, "mask_mode": "alpha"}
    answer = client.post("/api/v1/generate", json={**images, "prompt": PROMPT, "config": config})
    assert answer.status_code == 200, answer.text
    return base64.b64decode(answer.json()["result"]["image"])


@pytest.mark.parametrize("stream", ["false", "true"])
def test_openai_s_route_gives_the_same_bytes(client, image_of_json, stream):
    files = [("image[]", ("photo.jpg", PHOTO)), ("image[]", ("r", REFERENCE)), ("mask", ("m", MASK))]
    fields = {"prompt": PROMPT, "seed": "7", "quality": "low", "stream": stream}
    answer = client.post("/v1/images/edits", files=files, data=fields)
    assert answer.status_code == 200, answer.text
    if stream == "true":
        (data,) = (line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: "))
        image, size = json.loads(data)["b64_json"], json.loads(data)["size"]
    else:
        image, size = answer.json()["data"][0]["b64_json"], answer.json()["size"]
    assert base64.b64decode(image) == image_of_json
    assert size == "420x300"


def test_the_program_of_the_page_for_openai_s_clients_edits(service_url, tmp_path, monkeypatch):
    (program,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/openai.md").read_text(), re.DOTALL | re.MULTILINE)
    assert SERVICE in program
    (tmp_path / "car.jpg").write_bytes(PHOTO)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(program.replace(SERVICE, service_url), names)  # noqa: S102  the page's own words
    assert Image.open(io.BytesIO(base64.b64decode(names["answer"].data[0].b64_json))).size == (420, 300)
    names["client"].close()


@pytest.mark.parametrize("path", ["/api/v1/generate", "/v1/images/edits"])
def test_a_form_that_is_refused_is_answered_while_it_is_still_sent(service_url, path):
    url = httpx.URL(service_url)
    head = f"POST {path} HTTP/1.1\r\nHost: {url.host}\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    part = b'--x\r\nContent-Disposition: form-data; name="surprise"; filename="x"\r\n\r\n'
    with socket.create_connection((url.host, url.port), timeout=600) as connection:
        connection.sendall(f"{head}Content-Length: {20 * 2**20}\r\n\r\n".encode() + part)
        answered = b""
        while b"surprise: is not a known field" not in answered:
            more = connection.recv(2**16)
            assert more, answered
            answered += more
        for _ in range(19):  # what a client has on its way is taken, or it would lose the answer
            connection.sendall(bytes(2**20))
    assert answered.startswith(b"HTTP/1.1 400 ")
