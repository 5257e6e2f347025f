"""An edit as multipart/form-data: the same jobs, errors and limits as the same edit as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.types import Message

from api.app import create_app
from composition.config import ApiConfig, Config
from composition.errors import QueueFull
from tests.unit.api.conftest import Edge, open_edge
from tests.unit.api.images import base64_of, encoded, gradient, mask

PATHS = ("/api/v1/generate", "/api/v1/generate/async", "/api/v1/analyze")
PHOTO, REFERENCE, PAINTED = encoded(gradient(), "JPEG"), encoded(gradient(64, 80), "WEBP"), encoded(mask())
FILES = {"base_image": ("car.jpg", PHOTO, "image/jpeg")}


def shape(answer: Any) -> Any:
    """An answer without what differs from job to job."""
    body = answer.json()
    return {key: value for key, value in body.items() if key not in ("job_id", "status_url")}


@pytest.mark.parametrize("path", PATHS)
async def test_a_form_starts_the_job_that_the_same_json_starts(edge: Edge, path: str):
    config = {"seed": 7, "output_format": "webp", "control_types": ["pose", "depth"]}
    texts = {"prompt": " blue car ", "negative_prompt": "blurry"}
    files = {**FILES, "reference_image": ("r", REFERENCE), "mask_image": ("m", PAINTED)}
    form = await edge.client.post(path, data={**texts, "config": json.dumps(config)}, files=files)
    images = {name: base64_of(sent[1]) for name, sent in files.items()}
    plain = await edge.client.post(path, json={**texts, **images, "config": config})
    assert (form.status_code, shape(form)) == (200, shape(plain))
    one, other = edge.queue.jobs.values()
    assert (one.kind, one.priority, one.max_attempts) == (other.kind, other.priority, other.max_attempts)
    assert one.payload.options == other.payload.options
    assert (one.payload.prompt, one.payload.negative_prompt) == ("blue car", "blurry")
    sent = [edge.blobs.blobs[key] for key in one.payload.blob_keys]
    assert sent == [PHOTO, REFERENCE, PAINTED] == [edge.blobs.blobs[key] for key in other.payload.blob_keys]


async def test_several_references_are_as_many_parts(edge: Edge):
    edge.fetcher.files["https://shop.example/jacket.webp"] = PAINTED
    parts = [*FILES.items(), ("reference_images", ("a", REFERENCE)), ("reference_images", ("", b""))]
    parts.append(("reference_images", (None, "https://shop.example/jacket.webp")))
    form = await edge.client.post(PATHS[1], data={"prompt": "x"}, files=parts)
    references = [base64_of(REFERENCE), "https://shop.example/jacket.webp"]
    images = {"base_image": base64_of(PHOTO), "reference_images": references}
    plain = await edge.client.post(PATHS[1], json={"prompt": "x", **images})
    assert (form.status_code, plain.status_code) == (200, 200), form.text
    for job in edge.queue.jobs.values():
        assert [edge.blobs.blobs[key] for key in job.payload.blob_keys] == [PHOTO, REFERENCE, PAINTED]
        assert len(job.payload.reference_keys) == 2


async def test_what_is_said_of_a_reference_is_json_in_a_form(edge: Edge):
    said = {"image": base64_of(REFERENCE), "weight": 0.5, "for": {"mask_image": base64_of(PAINTED)}}
    parts = [*FILES.items(), ("reference_images", ("a", REFERENCE)), ("reference_images", (None, json.dumps(said)))]
    answer = await edge.client.post(PATHS[1], data={"prompt": "x"}, files=parts)
    assert answer.status_code == 200, answer.text
    payload = edge.only_job.payload
    assert [edge.blobs.blobs[key] for key in payload.blob_keys] == [PHOTO, REFERENCE, REFERENCE, PAINTED]
    assert [use.weight for use in payload.reference_uses] == [1.0, 0.5]
    parts[-1] = ("reference_images", (None, "{"))
    answer = await edge.client.post(PATHS[1], data={"prompt": "x"}, files=parts)
    assert (answer.status_code, "reference_images: is not valid JSON" in answer.text) == (400, True)


async def test_an_image_may_be_a_url_or_base64_in_a_form_too(edge: Edge):
    edge.fetcher.files["https://shop.example/car.jpg"] = PHOTO
    fields = {"base_image": "https://shop.example/car.jpg", "prompt": "x", "mask_image": base64_of(PAINTED)}
    answer = await edge.client.post(PATHS[1], files={name: (None, text) for name, text in fields.items()})
    assert answer.status_code == 200, answer.text
    assert [edge.blobs.blobs[key] for key in edge.only_job.payload.blob_keys] == [PHOTO, PAINTED]


async def test_what_was_left_blank_is_absent(edge: Edge):
    blank = {"negative_prompt": "", "config": " ", "callback_url": ""}
    files = {**FILES, "mask_image": ("", b""), "reference_image": (None, "")}
    answer = await edge.client.post(PATHS[1], data={"prompt": "x", **blank}, files=files)
    assert answer.status_code == 200, answer.text
    assert len(edge.only_job.payload.blob_keys) == 1


async def test_the_config_may_be_a_part_with_a_type_and_a_file_name(edge: Edge):
    files = {**FILES, "config": ("blob", b'{"seed": 7}', "application/json")}
    assert (await edge.client.post(PATHS[1], data={"prompt": "x"}, files=files)).status_code == 200
    assert edge.only_job.payload.options.seed == 7


BAD = {
    "no prompt": ({}, FILES, "prompt: Field required"),
    "no image": ({"prompt": "x"}, {"reference_image": ("r", REFERENCE)}, "base_image: Field required"),
    "an unknown field": ({"prompt": "x", "strenght": "1"}, FILES, "strenght: is not a known field"),
    "an unknown option": ({"prompt": "x", "config": '{"steps": 1}'}, FILES, "config.steps: is not a known field"),
    "a config that is no JSON": (
        {"prompt": "x", "config": "seed=7"}, FILES, "config: is not valid JSON: Expecting value"
    ),
    "a config of very many parts": (
        {"prompt": "x", "config": "[" + "0," * 20_000 + "0]"}, FILES, "config: is not valid JSON: more than 10000 parts"
    ),
    "a deep config": ({"prompt": "x", "config": "[" * 9_000}, FILES, "config: is not valid JSON: too deeply nested"),
    "a config of the wrong type": ({"prompt": "x", "config": "[]"}, FILES, "config: "),
    "a field given twice": ({"prompt": ["x", "y"]}, FILES, "prompt: is given 2 times"),
    "an empty file": ({"prompt": "x"}, {"base_image": ("car.jpg", b"")}, "base_image: is empty"),
}  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("case", BAD)
async def test_a_bad_form_is_refused_by_the_field_s_name(edge: Edge, path: str, case: str):
    data, files, message = BAD[case]
    answer = await edge.client.post(path, data=data, files=files)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "INVALID_INPUT")
    assert error["message"].startswith(message)
    assert (edge.queue.jobs, edge.blobs.blobs) == ({}, {})


async def test_every_bad_field_of_a_form_is_listed(edge: Edge):
    answer = await edge.client.post(PATHS[0], data={"prompt": "", "config": '{"seed": -2}'}, files=FILES)
    assert {item["field"] for item in answer.json()["error"]["details"]["fields"]} == {"prompt", "config.seed"}


async def test_a_file_that_is_no_image_is_refused_as_in_json(edge: Edge):
    answer = await edge.client.post(PATHS[0], data={"prompt": "x"}, files={"base_image": ("car.jpg", b"text")})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "UNPROCESSABLE_IMAGE")
    assert error["message"] == "base_image: is not a JPEG, PNG or WebP image"


async def test_the_same_form_again_is_the_same_submission_and_another_file_is_not(edge: Edge):
    headers = {"Idempotency-Key": "k"}
    first, again, other = [
        await edge.client.post(PATHS[1], data={"prompt": "x"}, files={"base_image": ("f", photo)}, headers=headers)
        for photo in (PHOTO, PHOTO, encoded(gradient()))
    ]
    assert (again.status_code, again.json()) == (200, first.json())
    assert (other.status_code, other.json()["error"]["code"]) == (422, "INVALID_INPUT")


class Sender:
    """One form whose body never ends; `looks` counts the pieces that were asked for before the answer."""

    def __init__(self, path: str, first: bytes) -> None:
        self._pieces = [first]
        self.looks = 0
        self.answer: list[Message] = []
        headers = {"content-type": "multipart/form-data; boundary=x", "content-length": "40000000"}
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("10.0.0.1", 1),
        }

    async def receive(self) -> Message:
        if not self.answer:
            self.looks += 1
        elif self._pieces == []:
            return {"type": "http.request", "body": b""}
        return {"type": "http.request", "body": self._pieces.pop() if self._pieces else bytes(1000), "more_body": True}

    async def send(self, message: Message) -> None:
        self.answer.append(message)


async def sent(edge: Edge, path: str, first: bytes) -> Sender:
    sender = Sender(path, first)
    app: Callable[..., Any] = edge.client._transport.app
    await app(sender.scope, sender.receive, sender.send)
    return sender


@pytest.mark.parametrize("path", PATHS)
async def test_a_full_queue_refuses_a_form_before_it_is_read(edge: Edge, path: str):
    edge.queue.full = QueueFull("too many jobs are waiting", retry_after_s=7)
    sender = await sent(edge, path, b"")
    assert (sender.answer[0]["status"], sender.looks) == (503, 0)


@pytest.mark.parametrize("path", PATHS)
async def test_a_form_that_is_refused_is_answered_at_once_and_read_off(edge: Edge, path: str):
    sender = await sent(edge, path, b'--x\r\nContent-Disposition: form-data; name="surprise"\r\n\r\n')
    start, body, end = sender.answer
    assert (start["status"], sender.looks) == (400, 1)
    assert dict(start["headers"])[b"connection"] == b"close"
    assert json.loads(body["body"])["error"]["message"] == "surprise: is not a known field"
    assert (body["more_body"], end.get("more_body", False)) == (True, False)


async def test_a_form_over_the_body_limit_answers_413():
    async with open_edge(Config(api=ApiConfig(max_request_size_mb=1))) as edge:
        answer = await edge.client.post(PATHS[0], data={"prompt": "x"}, files={"base_image": ("f", bytes(2**20))})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_a_form_needs_a_key_where_keys_are_configured():
    async with open_edge(Config(api=ApiConfig(api_keys={"ann": "key"}))) as edge:
        answer = await edge.client.post(PATHS[0], data={"prompt": "x"}, files=FILES)
        assert answer.status_code == 401
        headers = {"Authorization": "Bearer key"}
        answer = await edge.client.post(PATHS[0], data={"prompt": "x"}, files=FILES, headers=headers)
        assert (answer.status_code, edge.only_job.owner) == (200, "ann")


@pytest.mark.parametrize("path", ["/compose", "/compose_task", "/compose_task/submit"])
async def test_bentoml_s_routes_take_no_form(edge: Edge, path: str):
    answer = await edge.client.post(path, data={"prompt": "x"}, files=FILES)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_INPUT")


@pytest.mark.parametrize("path", PATHS)
def test_the_form_is_documented_beside_json(path: str):
    document = create_app().openapi()
    content = document["paths"][path]["post"]["requestBody"]["content"]
    assert set(content) == {"application/json", "multipart/form-data"}
    assert content["multipart/form-data"]["schema"] == {"$ref": "#/components/schemas/GenerateForm"}
    form = document["components"]["schemas"]["GenerateForm"]
    json_fields = document["components"]["schemas"]["GenerateRequest"]["properties"]
    assert list(form["properties"]) == list(json_fields)
    assert form["properties"]["config"]["$ref"] == "#/components/schemas/GenerateConfig"
    binary = {name for name, schema in form["properties"].items() if schema.get("format") == "binary"}
    assert binary == {"base_image", "reference_image", "mask_image"}
    assert form["properties"]["reference_images"]["items"] == {"type": "string", "format": "binary"}
