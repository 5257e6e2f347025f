"""Each bad request gets its status and the envelope, and nothing of it is kept."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from tests.unit.api.bombs import one_bit_png
from tests.unit.api.conftest import Edge
from tests.unit.api.images import base64_of, encoded, gradient, mask, photo

GENERATE = "/api/v1/generate"
EDIT = {"base_image": photo(), "prompt": "blue car"}
JSON = {"Content-Type": "application/json"}


def edit(**fields: object) -> bytes:
    return json.dumps({**EDIT, **fields}).encode()


def config(**fields: object) -> bytes:
    return edit(config=fields)


def image(data: bytes) -> bytes:
    return edit(base_image=base64_of(data))


NO_IMAGE = "UNPROCESSABLE_IMAGE"
TEXT = base64_of(b"this is a sentence, not an image")
BAD = {
    "no body": (b"", 400, "INVALID_INPUT"),
    "not JSON": (b"{", 400, "INVALID_INPUT"),
    "a list": (b"[]", 400, "INVALID_INPUT"),
    "null": (b"null", 400, "INVALID_INPUT"),
    "not UTF-8": (b'{"prompt": "\xff\xfe"}', 400, "INVALID_INPUT"),
    "deeply nested": (b"[" * 9000, 400, "INVALID_INPUT"),
    "a huge number": (b'{"prompt": ' + b"9" * 9000 + b"}", 400, "INVALID_INPUT"),
    "millions of parts": (b"[" + b"0," * 100_000 + b"0]", 400, "INVALID_INPUT"),
    "half a character": (b'{"base_image": "aGk=", "prompt": "\\ud800"}', 400, "INVALID_INPUT"),
    "a key of half a character": (b'{"\\ud800": 1}', 400, "INVALID_INPUT"),
    "missing prompt": (json.dumps({"base_image": photo()}).encode(), 400, "INVALID_INPUT"),
    "missing base": (b'{"prompt": "blue car"}', 400, "INVALID_INPUT"),
    "empty prompt": (edit(prompt="  "), 400, "INVALID_INPUT"),
    "prompt of the wrong type": (edit(prompt=7), 400, "INVALID_INPUT"),
    "unknown key": (edit(strenght=1), 400, "INVALID_INPUT"),
    "unknown config key": (config(steps=3), 400, "INVALID_INPUT"),
    "steps 0": (config(num_inference_steps=0), 400, "INVALID_INPUT"),
    "guidance -1": (config(guidance_scale=-1), 400, "INVALID_INPUT"),
    "guidance NaN": (config(guidance_scale=float("nan")), 400, "INVALID_INPUT"),
    "guidance infinite": (config(guidance_scale=float("inf")), 400, "INVALID_INPUT"),
    "bad base64": (edit(base_image="@@not base64@@"), 400, "INVALID_INPUT"),
    "base64 cut short": (edit(base_image="aGkaG"), 400, "INVALID_INPUT"),
    "data URL without data": (edit(base_image="data:image/png;base64"), 400, "INVALID_INPUT"),
    "SVG": (edit(base_image="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E"), 422, NO_IMAGE),
    "SVG in base64": (edit(base_image="data:image/svg+xml;base64," + base64_of(b"<svg/>")), 422, NO_IMAGE),
    "data URL of nothing": (edit(base_image="data:image/png;base64,"), 400, "INVALID_INPUT"),
    "base64 of text": (edit(base_image=TEXT), 422, "UNPROCESSABLE_IMAGE"),
    "GIF": (image(encoded(gradient(), "GIF")), 422, "UNPROCESSABLE_IMAGE"),
    "BMP": (image(encoded(gradient(), "BMP")), 422, "UNPROCESSABLE_IMAGE"),
    "truncated PNG": (image(encoded(gradient())[:400]), 422, "UNPROCESSABLE_IMAGE"),
    "truncated JPEG": (image(encoded(gradient(), "JPEG")[:900]), 422, "UNPROCESSABLE_IMAGE"),
    "100x100": (edit(base_image=photo(100, 100)), 422, "UNPROCESSABLE_IMAGE"),
    "256x255": (edit(base_image=photo(256, 255)), 422, "UNPROCESSABLE_IMAGE"),
    "4000x4000": (image(one_bit_png(4000)), 413, "PAYLOAD_TOO_LARGE"),
    "2049x256": (edit(base_image=photo(2049, 256)), 413, "PAYLOAD_TOO_LARGE"),
    "30000x30000 of one bit": (image(one_bit_png(30_000)), 413, "PAYLOAD_TOO_LARGE"),
    "reference that is no image": (edit(reference_image=TEXT), 422, "UNPROCESSABLE_IMAGE"),
    "reference of 4000x4000": (edit(reference_image=base64_of(one_bit_png(4000))), 413, "PAYLOAD_TOO_LARGE"),
    "mask of another size": (edit(mask_image=base64_of(encoded(mask(256, 257)))), 422, "UNPROCESSABLE_IMAGE"),
    "mask that is no image": (edit(mask_image=TEXT), 422, "UNPROCESSABLE_IMAGE"),
    "black mask": (edit(mask_image=base64_of(encoded(mask(filled=False)))), 422, "EMPTY_MASK"),
    "unreachable URL": (edit(base_image="http://nowhere.example/x.png"), 422, "UNPROCESSABLE_URL"),
}


@pytest.mark.parametrize("path", [GENERATE, "/api/v1/generate/async", "/api/v1/analyze"])
@pytest.mark.parametrize("name", BAD)
async def test_a_bad_request_gets_its_status_and_the_envelope(edge: Edge, path: str, name: str):
    body, status, code = BAD[name]
    response = await edge.client.post(path, content=body, headers=JSON)
    assert response.status_code == status
    answer = response.json()
    assert set(answer) == {"success", "error"}
    assert answer["success"] is False
    assert set(answer["error"]) == {"code", "message", "details"}
    assert answer["error"]["code"] == code
    assert answer["error"]["message"]
    assert edge.queue.jobs == {}
    assert edge.blobs.blobs == {}


async def test_every_bad_field_is_listed(edge: Edge):
    body = {"prompt": "", "surprise": 1, "config": {"seed": -2, "sharpen": 1}}
    response = await edge.client.post(GENERATE, json=body)
    fields = {item["field"] for item in response.json()["error"]["details"]["fields"]}
    assert fields == {"base_image", "prompt", "surprise", "config.seed", "config.sharpen"}


async def test_of_very_many_bad_fields_the_first_are_listed(edge: Edge):
    response = await edge.client.post(GENERATE, json={**EDIT, **{f"key{n}": 1 for n in range(500)}})
    error = response.json()["error"]
    assert len(error["details"]["fields"]) == 20
    assert error["message"].endswith("; and 497 more")


async def test_an_error_about_a_image_names_its_field(edge: Edge):
    response = await edge.client.post(GENERATE, json={**EDIT, "reference_image": "@@"})
    error = response.json()["error"]
    assert error["message"] == "reference_image: is not valid base64"
    assert error["details"] == {"field": "reference_image"}


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_that_is_not_declared_as_json_is_refused(edge: Edge, content_type: str | None):
    headers = {"Content-Type": content_type} if content_type else {}
    response = await edge.client.post(GENERATE, content=edit(), headers=headers)
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "body: must be sent as Content-Type: application/json"


async def test_a_charset_beside_the_content_type_is_fine(edge: Edge):
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert (await edge.client.post(GENERATE, content=edit(), headers=headers)).status_code == 200


@pytest.mark.parametrize("path", ["/nope", "/api/v1", "/api/v1/nope", "/api/v1/generate/", "/api/v2/generate"])
async def test_an_unknown_path_answers_404_in_the_envelope(edge: Edge, path: str):
    response = await edge.client.get(path)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/generate"),
        ("PUT", "/api/v1/generate"),
        ("POST", "/api/v1/health"),
        ("DELETE", "/api/v1/jobs"),
        ("PATCH", "/api/v1/status/2f4c7b0e-8d3a-4a58-9a2e-5d0c6f2b1e77"),
    ],
)
async def test_a_wrong_method_answers_405_in_the_envelope(edge: Edge, method: str, path: str):
    response = await edge.client.request(method, path)
    assert (response.status_code, response.json()["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"]


async def test_no_turn_of_the_loop_takes_as_long_as_a_large_body(edge: Edge):
    """In the thread's own time, which other work on the machine does not lengthen."""
    body = edit(base_image="a" * (16 * 2**20))
    began_at = time.thread_time()
    json.loads(body)
    at_once_s = time.thread_time() - began_at
    turns_s: list[float] = []

    async def watch() -> None:
        while True:
            began_at = time.thread_time()
            await asyncio.sleep(0)
            turns_s.append(time.thread_time() - began_at)

    watching = asyncio.create_task(watch())
    response = await edge.client.post(GENERATE, content=body, headers=JSON)
    watching.cancel()
    assert (response.status_code, response.json()["error"]["code"]) == (422, "UNPROCESSABLE_IMAGE")
    assert max(turns_s) < 0.7 * at_once_s


async def test_each_bad_field_is_named_with_what_is_wrong_with_it(edge: Edge):
    answer = await edge.client.post(GENERATE, content=edit(strenght=1, config={"seed": "x"}), headers=JSON)
    errors = {item["field"]: item["message"] for item in answer.json()["error"]["details"]["fields"]}
    assert errors == {"strenght": "is not a known field", "config.seed": "Input should be a valid integer"}


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/api/v1/generate", "POST"),
        ("/api/v1/jobs/7", "DELETE"),
        ("/api/v1/loras", "GET, POST"),
        ("/api/v1/admin/drain", "DELETE, GET, POST"),
    ],
)
async def test_a_wrong_method_is_told_all_that_there_are(edge: Edge, path: str, methods: str):
    response = await edge.client.request("PATCH", path)
    assert (response.status_code, response.headers["allow"]) == (405, methods)
