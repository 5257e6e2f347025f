"""OpenAI's routes over fakes: what their form means, what is refused by name, and every error in their shape."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest
from PIL import Image as PillowImage

from api.app import create_app
from composition.config import ApiConfig, Config, LimitsConfig
from composition.errors import NotReady, QueueFull
from composition.jobs import JobError, JobEvent, JobKind, JobStatus, Priority
from composition.request import MaskMode, OutputFormat
from tests.unit.api.conftest import ACCOUNT, Edge, open_edge
from tests.unit.api.images import encoded, gradient, mask

EDITS = "/v1/images/edits"
PHOTO, REFERENCE = encoded(gradient(300, 256), "JPEG"), encoded(gradient(64, 80), "WEBP")
SENT = {"image": ("car.jpg", PHOTO, "image/jpeg")}
PROMPT = {"prompt": "blue car"}
KEYS = Config(api=ApiConfig(api_keys={"ann": "key-of-ann"}, rate_limit_per_minute=1))
ANN = {"Authorization": "Bearer key-of-ann"}


def holed_mask() -> bytes:
    """Opaque white with a transparent square: the square is repainted, and nothing else in OpenAI's reading."""
    pixels = gradient(300, 256)
    alpha = 255 - mask(300, 256)
    image = PillowImage.fromarray(pixels)
    image.putalpha(PillowImage.fromarray(alpha))
    return encoded(image)


async def edit(edge: Edge, files: Any = SENT, **fields: str) -> httpx.Response:
    return await edge.client.post(EDITS, data={**PROMPT, **fields}, files=files)


def error_of(answer: httpx.Response) -> dict[str, Any]:
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return body["error"]


async def test_an_edit_answers_the_image_in_their_body(edge: Edge):
    answer = await edit(edge)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [base64.b64decode(image["b64_json"]) for image in body["data"]] == [encoded(gradient())]
    assert (body["output_format"], body["background"], body["quality"]) == ("png", "opaque", "medium")
    assert (body["size"], body["metadata"]) == ("256x256", ACCOUNT["metadata"])
    assert body["created"] > 1_700_000_000
    assert body["usage"]["total_tokens"] == 0


async def test_an_edit_is_the_job_that_generate_makes(edge: Edge):
    await edit(edge)
    await edge.client.post("/api/v1/generate", data=PROMPT, files={"base_image": SENT["image"]})
    one, other = edge.queue.jobs.values()
    assert (one.kind, one.priority, one.max_attempts) == (JobKind.EDIT, Priority.INTERACTIVE, 1)
    assert (one.payload.options, one.payload.prompt) == (other.payload.options, other.payload.prompt)
    assert edge.blobs.blobs[one.payload.base_key] == edge.blobs.blobs[other.payload.base_key] == PHOTO


@pytest.mark.parametrize("name", ["image", "image[]"])
@pytest.mark.parametrize("references", [[], [REFERENCE], [REFERENCE, PHOTO, holed_mask(), REFERENCE]])
async def test_the_first_image_is_the_photo_and_the_others_are_references(
    edge: Edge, name: str, references: list[bytes]
):
    files = [(name, ("a", image)) for image in (PHOTO, *references)]
    answer = await edit(edge, [*files, ("mask", ("m", holed_mask()))])
    assert answer.status_code == 200, answer.text
    payload = edge.only_job.payload
    assert [edge.blobs.blobs[key] for key in payload.blob_keys] == [PHOTO, *references, holed_mask()]
    assert len(payload.reference_keys) == len(references)
    assert payload.options.mask_mode is MaskMode.ALPHA


async def test_their_parameters_become_our_options(edge: Edge):
    answer = await edit(
        edge, model="image-composition", quality="high", output_format="webp", seed="7", size="300x256", user="u",
        background="opaque", response_format="b64_json", input_fidelity="high", n="1", stream="false",
        safety_identifier="s", partial_images="0",
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    options = edge.only_job.payload.options
    assert (options.seed, options.output_format, options.num_inference_steps) == (7, OutputFormat.WEBP, 50)
    assert (answer.json()["output_format"], answer.json()["quality"]) == ("webp", "high")


@pytest.mark.parametrize(
    ("output_format", "compression", "quality"),
    [
        ("jpeg", "60", 60),
        ("jpeg", "0", 1),
        ("jpeg", "100", 100),
        ("webp", "60", 60),
        ("webp", "100", None),
        ("png", "100", None),
    ],
)
async def test_compression_is_a_quality(edge: Edge, output_format: str, compression: str, quality: int | None):
    await edit(edge, output_format=output_format, output_compression=compression)
    assert edge.only_job.payload.options.output_quality == quality


@pytest.mark.parametrize(("quality", "steps"), [("low", 12), ("medium", None), ("auto", None), ("standard", None)])
async def test_quality_is_a_number_of_steps(edge: Edge, quality: str, steps: int | None):
    await edit(edge, quality=quality)
    assert edge.only_job.payload.options.num_inference_steps == steps


async def test_what_is_left_blank_is_absent(edge: Edge):
    assert (await edit(edge, model="", seed="", size="", n=" ")).status_code == 200


REFUSED = {
    "model": ({"model": "gpt-image-2"}, 404, "model", "model_not_found"),
    "size": ({"size": "1024x1024"}, 400, "size", "invalid_input"),
    "a size that is none": ({"size": "large"}, 400, "size", "invalid_input"),
    "background": ({"background": "transparent"}, 400, "background", "invalid_input"),
    "quality": ({"quality": "max"}, 400, "quality", "invalid_input"),
    "output_format": ({"output_format": "gif"}, 400, "output_format", "invalid_input"),
    "response_format": ({"response_format": "url"}, 400, "response_format", "invalid_input"),
    "input_fidelity": ({"input_fidelity": "low"}, 400, "input_fidelity", "invalid_input"),
    "output_compression": ({"output_compression": "60"}, 400, "output_compression", "invalid_input"),
    "n": ({"n": "9"}, 400, "n", "invalid_input"),
    "n that is none": ({"n": "two"}, 400, "n", "invalid_input"),
    "seed": ({"seed": "4294967296"}, 400, "seed", "invalid_input"),
    "partial_images": ({"partial_images": "4", "stream": "true"}, 400, "partial_images", "invalid_input"),
    "partial_images without stream": ({"partial_images": "1"}, 400, "partial_images", "invalid_input"),
    "partial_images without previews": (
        {"partial_images": "1", "stream": "true"}, 400, "partial_images", "invalid_input"
    ),
    "a parameter of another model": ({"frame_count": "3"}, 400, "frame_count", "unknown_parameter"),
    "prompt": ({"prompt": " "}, 400, "prompt", "invalid_input"),
    "a long prompt": ({"prompt": "x" * 1001}, 400, "prompt", "invalid_input"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_honoured_is_refused_by_name(edge: Edge, case: str):
    fields, status, param, code = REFUSED[case]
    answer = await edit(edge, **fields)
    error = error_of(answer)
    assert (answer.status_code, error["param"], error["code"]) == (status, param, code)
    assert error["message"].startswith(f"{param}: ")
    assert error["type"] == "invalid_request_error"
    assert edge.queue.jobs == {}


IMAGES = {
    "none": ({"mask": ("m", holed_mask())}, 400, "image"),
    "six": ([("image[]", ("a", PHOTO))] * 6, 400, "image"),
    "text": ({"image": (None, "https://shop.example/car.png")}, 400, "image"),
    "no image": ({"image": ("a", b"text")}, 422, "image"),
    "a reference that is none": ([("image[]", ("a", PHOTO)), ("image[]", ("b", b"text"))], 422, "image"),
    "an empty one": ({"image": ("a", b"")}, 400, "image"),
    "a mask of another size": ({**SENT, "mask": ("m", encoded(mask()))}, 422, "mask"),
    "a mask that is opaque everywhere": ({**SENT, "mask": ("m", encoded(mask(300, 256)))}, 422, "mask"),
    "two masks": ([*SENT.items(), ("mask", ("m", b"x")), ("mask", ("m", b"y"))], 400, "mask"),
}


@pytest.mark.parametrize("case", IMAGES)
async def test_bad_images_are_refused_by_their_names_for_them(edge: Edge, case: str):
    files, status, param = IMAGES[case]
    answer = await edit(edge, files)
    error = error_of(answer)
    assert (answer.status_code, error["param"]) == (status, param)
    assert error["message"].startswith(f"{param}: ")
    assert (edge.queue.jobs, edge.blobs.blobs) == ({}, {})


async def test_a_body_that_is_no_form_is_refused(edge: Edge):
    answer = await edge.client.post(EDITS, json=PROMPT)
    assert (answer.status_code, error_of(answer)["param"]) == (400, None)


FAILURES = {
    "CONTENT_POLICY": (422, "invalid_request_error", "moderation_blocked"),
    "NO_DETECTION": (422, "invalid_request_error", "no_detection"),
    "OUT_OF_MEMORY": (500, "server_error", "out_of_memory"),
    "TIMEOUT": (504, "server_error", "timeout"),
    "CANCELLED": (409, "invalid_request_error", "cancelled"),
}


@pytest.mark.parametrize("code", FAILURES)
async def test_a_failed_job_answers_its_error_and_whether_to_try_again(code: str):
    status, kind, theirs = FAILURES[code]
    async with open_edge(outcome=lambda job: JobError(code=code, message="this is why")) as edge:
        answer = await edit(edge)
    error = error_of(answer)
    assert (answer.status_code, error["type"], error["code"]) == (status, kind, theirs)
    assert error["message"] == "this is why"
    assert answer.headers.get("x-should-retry") == ("false" if code in ("TIMEOUT", "CANCELLED") else None)


@pytest.mark.parametrize("method_path", [("POST", EDITS), ("GET", "/v1/models"), ("GET", "/v1/nope")])
async def test_a_wrong_key_and_an_exhausted_rate_are_told_in_their_shape(method_path: tuple[str, str]):
    async with open_edge(KEYS) as edge:
        answer = await edge.client.request(*method_path)
        error = error_of(answer)
        assert (answer.status_code, error["type"], error["code"]) == (401, "authentication_error", "invalid_api_key")


async def test_the_bearer_key_is_ours_and_its_rate_too():
    async with open_edge(KEYS) as edge:
        edge.client.headers.update(ANN)
        assert (await edit(edge)).status_code == 200
        assert edge.only_job.owner == "ann"
        answer = await edit(edge)
        assert (answer.status_code, error_of(answer)["code"]) == (429, "rate_limit_exceeded")
        assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("refusal", [QueueFull("too many jobs are waiting", retry_after_s=7), NotReady("starting")])
async def test_a_service_that_takes_no_edit_says_so_in_their_shape(edge: Edge, refusal: Exception):
    edge.queue.full = refusal
    answer = await edit(edge)
    assert (answer.status_code, error_of(answer)["type"]) == (503, "server_error")
    assert answer.headers["retry-after"]


async def test_a_foreign_page_is_refused_in_their_shape(edge: Edge):
    answer = await edge.client.post(EDITS, data=PROMPT, files=SENT, headers={"Origin": "https://evil.example"})
    assert (answer.status_code, error_of(answer)["type"]) == (403, "permission_error")


async def test_a_body_over_the_limit_is_refused_in_their_shape():
    async with open_edge(Config(api=ApiConfig(max_request_size_mb=1))) as edge:
        answer = await edit(edge, {"image": ("a", bytes(2**20))})
    assert (answer.status_code, error_of(answer)["code"]) == (413, "payload_too_large")


async def test_what_breaks_inside_is_opaque(edge: Edge):
    edge.blobs.failure = OSError("the password is 1234")
    answer = await edit(edge)
    assert (answer.status_code, error_of(answer)["code"]) == (500, "internal")
    assert "1234" not in answer.text


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/nope", 404), ("PUT", EDITS, 405)])
async def test_unknown_paths_and_methods_under_v1_are_told_in_their_shape(
    edge: Edge, method: str, path: str, status: int
):
    answer = await edge.client.request(method, path)
    assert (answer.status_code, error_of(answer)["type"]) == (status, "invalid_request_error")


async def test_there_is_one_model(edge: Edge):
    listed = (await edge.client.get("/v1/models")).json()
    (model,) = listed["data"]
    assert (listed["object"], model["id"], model["object"]) == ("list", "image-composition", "model")
    assert (await edge.client.get("/v1/models/image-composition")).json() == model
    answer = await edge.client.get("/v1/models/gpt-image-2")
    assert (answer.status_code, error_of(answer)["code"]) == (404, "model_not_found")


async def test_delivered_images_are_deleted(edge: Edge):
    for stream in ("false", "true"):
        await edit(edge, stream=stream)
    for job in edge.queue.jobs.values():
        assert job.result is not None
        assert job.result.image_key not in edge.blobs.blobs


def frames(text: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


async def test_a_stream_ends_with_the_image(edge: Edge):
    answer = await edit(edge, stream="true", safety_identifier="s")
    assert answer.headers["content-type"].startswith("text/event-stream")
    ((name, event),) = frames(answer.text)
    assert name == event["type"] == "image_edit.completed"
    assert base64.b64decode(event["b64_json"]) == encoded(gradient())
    assert (event["size"], event["output_format"], event["safety_identifier"]) == ("256x256", "png", "s")
    assert event["usage"]["total_tokens"] == 0


def preview(job_id: str, sequence: int, image: str) -> JobEvent:
    data = {"image": image, "media_type": "image/jpeg", "step": sequence}
    return JobEvent(job_id=job_id, sequence=sequence, type="preview", data=data)


def progress(job_id: str, sequence: int, fraction: float) -> JobEvent:
    return JobEvent(job_id=job_id, sequence=sequence, type="progress", data={"progress": fraction})


async def test_previews_of_a_stream_are_spread_over_the_job_and_the_missing_ones_are_told():
    config = Config.model_validate({"generation": {"previews": True}})
    async with open_edge(config) as edge:
        accept = edge.queue.submit

        async def with_previews(job: Any) -> Any:
            moments = [(0.1, "early"), (0.3, "first"), (0.4, "too soon"), (0.6, "second")]
            events = [
                event
                for at, (fraction, image) in enumerate(moments)
                for event in (progress(job.id, 2 * at + 1, fraction), preview(job.id, 2 * at + 2, image))
            ]
            edge.queue.event_log[job.id] = events
            return await accept(job)

        edge.queue.submit = with_previews
        answer = await edit(edge, stream="true", partial_images="3")
    *partial, (_, completed) = frames(answer.text)
    shown = [(name, event["partial_image_index"], event["b64_json"]) for name, event in partial]
    assert shown == [("image_edit.partial_image", 0, "first"), ("image_edit.partial_image", 1, "second")]
    assert partial[0][1]["output_format"] == "jpeg"
    assert completed["metadata"]["warnings"] == ["partial_images: 1 fewer than asked for, the edit was done first"]


async def test_an_error_in_mid_stream_is_an_event():
    async with open_edge(outcome=lambda job: JobError(code="MODEL_ERROR", message="a model failed")) as edge:
        ((name, event),) = frames((await edit(edge, stream="true")).text)
    assert (name, event["type"]) == ("error", "error")
    assert event["error"] == {"message": "a model failed", "type": "server_error", "param": None, "code": "model_error"}


async def test_what_is_refused_is_refused_before_the_stream_begins(edge: Edge):
    answer = await edit(edge, {"image": ("a", b"text")}, stream="true")
    assert (answer.status_code, error_of(answer)["param"]) == (422, "image")


async def test_a_stream_over_the_time_limit_ends_with_an_error_and_cancels_the_job():
    config = Config(limits=LimitsConfig(request_timeout_seconds=0.05))
    async with open_edge(config, outcome=lambda job: JobStatus.PENDING) as edge:
        ((_, event),) = frames((await edit(edge, stream="true")).text)
        assert event["error"]["code"] == "timeout"
        assert edge.queue.cancelled == [edge.only_job.id]


async def test_a_client_that_leaves_a_stream_cancels_its_job():
    async with open_edge(outcome=lambda job: JobStatus.PENDING) as edge:
        waiting = asyncio.create_task(edit(edge, stream="true"))
        await edge.queue.submitted.wait()
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.wait_for(edge.queue.wait(edge.only_job.id), 60)
        assert edge.queue.cancelled == [edge.only_job.id]


def test_the_document_has_their_form_answer_and_errors():
    document = create_app().openapi()
    operation = document["paths"][EDITS]["post"]
    reference = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert reference == {"$ref": "#/components/schemas/ImageEdit"}
    form = document["components"]["schemas"]["ImageEdit"]
    assert {"image", "mask", "prompt", "n", "size", "seed", "stream"} <= set(form["properties"])
    assert set(operation["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    for status, response in operation["responses"].items():
        if status != "200":
            schema = response["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/OpenAiErrorResponse"}
