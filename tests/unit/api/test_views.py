"""Several views of one thing over REST: what is taken, what is refused and in which words, and what it costs."""

from __future__ import annotations

import json

import pytest

from api.app import create_app
from composition.config import ApiConfig, Config
from composition.jobs import JobKind, Priority
from composition.request import ResponseFormat
from tests.unit.api.conftest import Edge, open_edge
from tests.unit.api.images import base64_of, encoded, gradient, mask, photo

VIEWS, ASYNC = "/api/v1/views", "/api/v1/views/async"


def body(count=2, **fields):
    return {"base_images": [photo() for _ in range(count)], "prompt": "make the car red", **fields}


@pytest.mark.parametrize(("path", "priority"), [(VIEWS, Priority.INTERACTIVE), (ASYNC, Priority.BATCH)])
async def test_views_become_one_job_with_every_photograph(edge: Edge, path: str, priority: Priority):
    fields = {"reference_images": [photo()], "negative_prompt": "rust", "config": {"seed": 3}}
    answer = await edge.client.post(path, json=body(3, **fields))
    assert answer.status_code == 200, answer.text
    job = edge.only_job
    payload = job.payload
    assert (job.kind, job.priority, job.schema_version, job.places) == (JobKind.EDIT, priority, 4, 3)
    assert (payload.prompt, payload.negative_prompt, payload.options.seed) == ("make the car red", "rust", 3)
    assert len({payload.base_key, *payload.view_keys, *payload.reference_keys}) == 4
    assert (payload.mask_key, payload.edits, payload.n) == (None, (), 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"base_images": [photo()]}, "base_images"),
        ({"base_images": [photo()] * 9}, "base_images"),
        ({"base_images": [photo(), "no base64!"]}, "base_images.1"),
        ({"prompt": " "}, "prompt"),
        ({"n": 2}, "n"),
        ({"edits": [{"prompt": "blue car"}]}, "edits"),
        ({"mask_image": base64_of(encoded(mask()))}, "mask_image"),
        ({"response_format": "binary"}, "response_format"),
        ({"config": {"box": [0, 0, 9, 9]}}, "config.box is of one photograph"),
        ({"config": {"points": [[1, 1]]}}, "config.points is of one photograph"),
        ({"config": {"return_mask": True}}, "config.return_mask is of one photograph"),
        ({"reference_image": photo(), "reference_images": [photo()]}, "send one of them"),
        ({"reference_images": [{"image": photo(), "for": "sleeves"}]}, "reference_images.for is of one photograph"),
    ],
)
async def test_what_views_cannot_have_is_refused(edge: Edge, fields: dict, message: str):
    answer = await edge.client.post(VIEWS, json=body(**fields))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_INPUT")
    assert message in str(answer.json()["error"])
    assert edge.queue.jobs == {}


async def test_a_photograph_that_is_too_small_is_named(edge: Edge):
    answer = await edge.client.post(VIEWS, json=body(base_images=[photo(), base64_of(encoded(mask(16, 16)))]))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "UNPROCESSABLE_IMAGE")
    assert "base_images.1" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("guidance_scale", "status"), [(7.5, 400), (1.0, 200)])
async def test_more_rows_than_a_forward_may_have_are_refused_when_they_are_sent(guidance_scale: float, status: int):
    config = Config.model_validate({"generation": {"max_rows": 4}})
    async with open_edge(config=config) as edge:
        answer = await edge.client.post(ASYNC, json=body(3, config={"guidance_scale": guidance_scale}))
        assert answer.status_code == status, answer.text
        if status == 400:
            error = answer.json()["error"]
            assert "3 views take 6 rows of a forward, and 4 are allowed here (generation.max_rows)" in error["message"]
            assert (error["details"]["field"], edge.queue.jobs) == ("base_images", {})


async def test_every_view_costs_one_edit_and_has_its_time(edge: Edge):
    await edge.client.post(ASYNC, json=body(4))
    assert edge.only_job.time_limit_s == 4 * edge.context.config.limits.request_timeout_seconds
    async with open_edge(config=Config(api=ApiConfig(rate_limit_per_minute=3))) as limited:
        assert (await limited.client.post(VIEWS, json=body(2))).status_code == 200
        assert (await limited.client.post(VIEWS, json=body(2))).status_code == 429


async def test_urls_in_the_place_of_images_are_kept_with_the_job(edge: Edge):
    await edge.client.post(ASYNC, json=body(response_format="url"))
    assert edge.only_job.payload.response_format is ResponseFormat.URL


async def test_the_same_key_and_body_is_the_same_job_and_another_body_a_conflict(edge: Edge):
    key = {"Idempotency-Key": "k1"}
    sent = body()
    first = await edge.client.post(ASYNC, json=sent, headers=key)
    again = await edge.client.post(ASYNC, json=sent, headers=key)
    assert first.json()["job_id"] == again.json()["job_id"]
    assert (await edge.client.post(ASYNC, json=body(3), headers=key)).status_code == 422


async def test_a_callback_is_for_who_does_not_wait(edge: Edge):
    answer = await edge.client.post(VIEWS, json=body(callback_url="https://example.com/done"))
    assert (answer.status_code, answer.json()["error"]["details"]) == (400, {"field": "callback_url"})


PHOTOGRAPHS = [encoded(gradient(), "JPEG"), encoded(gradient(256, 320), "WEBP")]


def parts(*photographs, **texts):
    """Of a form: each photograph a part of one name, what is text without a file's name."""
    named = [("base_images", ("car", one) if isinstance(one, bytes) else (None, one)) for one in photographs]
    return [*named, *((name, (None, text)) for name, text in texts.items())]


@pytest.mark.parametrize("path", [VIEWS, ASYNC])
async def test_a_form_starts_the_job_that_the_same_json_starts(edge: Edge, path: str):
    url = "https://shop.example/side.webp"
    edge.fetcher.files[url] = PHOTOGRAPHS[1]
    reference = ("reference_images", ("r", PHOTOGRAPHS[0]))
    texts = {
        "prompt": " make the car red ",
        "negative_prompt": "rust",
        "config": '{"seed": 3, "output_format": "webp"}',
    }
    form = await edge.client.post(path, files=[*parts(PHOTOGRAPHS[0], url, **texts), reference])
    body = {"base_images": [base64_of(PHOTOGRAPHS[0]), url], "reference_images": [base64_of(PHOTOGRAPHS[0])]}
    plain = await edge.client.post(path, json={**texts, **body, "config": json.loads(texts["config"])})
    assert (form.status_code, plain.status_code) == (200, 200), form.text
    one, other = edge.queue.jobs.values()
    assert (one.kind, one.priority, one.payload.options) == (other.kind, other.priority, other.payload.options)
    assert (one.payload.prompt, one.payload.negative_prompt) == ("make the car red", "rust")
    for job in (one, other):
        kept = [edge.blobs.blobs[key] for key in job.payload.blob_keys]
        assert kept == [*PHOTOGRAPHS, PHOTOGRAPHS[0]]
        assert len(job.payload.view_keys) == 1


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (parts(PHOTOGRAPHS[0], prompt="x"), "base_images"),
        (parts(*PHOTOGRAPHS), "prompt: Field required"),
        (parts(*PHOTOGRAPHS, b"", prompt="x"), "base_images.2: is empty"),
        (parts(*PHOTOGRAPHS, '{"image": "x"}', prompt="x"), "base_images.2: "),
        (parts(*PHOTOGRAPHS, prompt="x", n="2"), "n: is not a known field"),
        (parts(*PHOTOGRAPHS, prompt="x", base_image="x"), "base_image: is not a known field"),
        (parts(*PHOTOGRAPHS, prompt="x", config="seed=7"), "config: is not valid JSON"),
    ],
)
async def test_a_bad_form_is_refused_by_the_field_s_name(edge: Edge, sent: list, message: str):
    answer = await edge.client.post(VIEWS, files=sent)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_INPUT")
    assert answer.json()["error"]["message"].startswith(message)
    assert (edge.queue.jobs, edge.blobs.blobs) == ({}, {})


def test_the_form_is_documented_beside_json():
    document = create_app().openapi()
    for path in (VIEWS, ASYNC):
        content = document["paths"][path]["post"]["requestBody"]["content"]
        assert set(content) == {"application/json", "multipart/form-data"}
        assert content["multipart/form-data"]["schema"] == {"$ref": "#/components/schemas/ViewsForm"}
    form, plain = (document["components"]["schemas"][f"Views{kind}"] for kind in ("Form", "Request"))
    assert (list(form["properties"]), form["required"]) == (list(plain["properties"]), ["base_images", "prompt"])
    several = form["properties"]["base_images"]
    assert (several["items"], several["minItems"], several["maxItems"]) == (
        {"type": "string", "format": "binary"},
        2,
        8,
    )


async def test_views_may_be_in_a_session(edge: Edge):
    assert (await edge.client.post(ASYNC, json=body(session="a car"))).status_code == 400
    assert (await edge.client.post(ASYNC, json=body(session="car"))).status_code == 200
    assert edge.only_job.session == "car"
