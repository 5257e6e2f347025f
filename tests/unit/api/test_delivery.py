"""How images are delivered: in the answer, behind URLs or as the answer itself; one, or several candidates."""

from __future__ import annotations

import asyncio
import base64
import io
import json

import pytest
from PIL import Image as PillowImage

from api.context import DELIVERIES_AT_ONCE
from composition.config import ApiConfig, Config
from composition.jobs import Job, JobKind, JobResult, JobStatus
from composition.request import ResponseFormat
from tests.unit.api.conftest import ACCOUNT, Edge, open_edge
from tests.unit.api.images import encoded, gradient, mask, photo

GENERATE, ASYNC, ANALYZE = "/api/v1/generate", "/api/v1/generate/async", "/api/v1/analyze"
EDIT = {"base_image": photo(), "prompt": "blue car"}
WARNED = {**ACCOUNT, "metadata": {**ACCOUNT["metadata"], "warnings": ["one", "two"]}}


def files(count: int) -> list[bytes]:
    """A different file for each candidate."""
    return [encoded(gradient(256 + index, 256)) for index in range(count)]


def completing(edge_of: list[Edge]):
    """Jobs that complete with as many images as they were asked for."""

    def outcome(job: Job) -> JobResult:
        (edge,) = edge_of
        keys = [f"image-{index}-of-{job.id}" for index in range(job.payload.n)]
        edge.blobs.blobs |= dict(zip(keys, files(job.payload.n), strict=True))
        mask_key = None
        if job.kind is JobKind.ANALYZE or job.payload.options.return_mask:
            mask_key = f"mask-of-{job.id}"
            edge.blobs.blobs[mask_key] = encoded(mask())
        if job.kind is JobKind.ANALYZE:
            return JobResult(image_key=None, image_media_type=None, mask_key=mask_key, account={"metadata": {}})
        return JobResult(
            image_key=keys[0],
            image_media_type="image/png",
            mask_key=mask_key,
            account=WARNED,
            other_image_keys=tuple(keys[1:]),
        )

    return outcome


@pytest.fixture
async def edge():
    opened: list[Edge] = []
    async with open_edge(outcome=completing(opened)) as edge:
        opened.append(edge)
        yield edge


def decoded(result: dict, name: str) -> list[bytes]:
    return [base64.b64decode(text) for text in result[name]]


@pytest.mark.parametrize("path", [GENERATE, "/compose"])
async def test_candidates_come_as_a_list_beside_the_first(edge: Edge, path: str):
    body = {**EDIT, "n": 3}
    answer = await edge.client.post(path, json={"request": body} if path == "/compose" else body)
    result = answer.json()["result"]
    assert decoded(result, "images") == files(3)
    assert base64.b64decode(result["image"]) == files(1)[0]
    assert edge.only_job.payload.n == 3
    assert not [key for key in edge.blobs.blobs if key.startswith("image")]


async def test_one_image_is_answered_as_ever(edge: Edge):
    result = (await edge.client.post(GENERATE, json={**EDIT, "n": 1, "response_format": "json"})).json()["result"]
    assert set(result) == {"image", *ACCOUNT}


async def test_a_url_leads_to_the_image_also_of_a_blocking_edit(edge: Edge):
    body = {**EDIT, "response_format": "url", "config": {"return_mask": True}}
    answer = await edge.client.post(GENERATE, json=body)
    result = answer.json()["result"]
    job_id = answer.headers["x-job-id"]
    assert set(result) == {"image_url", "mask", *ACCOUNT}
    assert result["image_url"] == f"/api/v1/jobs/{job_id}/image"
    assert base64.b64decode(result["mask"]) == encoded(mask())
    for _ in range(2):
        image = await edge.client.get(result["image_url"])
        assert (image.status_code, image.content) == (200, files(1)[0])
        assert image.headers["content-type"] == "image/png"
    status = (await edge.client.get(f"/api/v1/status/{job_id}")).json()
    assert status["result"] == result


async def test_every_candidate_has_its_url(edge: Edge):
    result = (await edge.client.post(GENERATE, json={**EDIT, "n": 3, "response_format": "url"})).json()["result"]
    assert "image" not in result
    assert result["image_url"] == result["image_urls"][0]
    assert [(await edge.client.get(url)).content for url in result["image_urls"]] == files(3)


async def test_candidates_of_a_job_are_counted_from_zero_and_there_are_no_more(edge: Edge):
    job_id = (await edge.client.post(ASYNC, json={**EDIT, "n": 2})).json()["job_id"]
    image = f"/api/v1/jobs/{job_id}/image"
    assert (await edge.client.get(image)).content == (await edge.client.get(f"{image}?index=0")).content == files(1)[0]
    assert (await edge.client.get(f"{image}?index=1")).content == files(2)[1]
    answer = await edge.client.get(f"{image}?index=2")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
    assert "2 candidates" in answer.json()["error"]["message"]
    assert {(await edge.client.get(f"{image}?index={index}")).status_code for index in ("-1", "8", "x")} == {400}


@pytest.mark.parametrize("response_format", ["json", "url"])
async def test_a_background_job_delivers_as_it_was_asked(edge: Edge, response_format: str):
    body = {**EDIT, "n": 2, "response_format": response_format}
    job_id = (await edge.client.post(ASYNC, json=body)).json()["job_id"]
    result = (await edge.client.get(f"/api/v1/status/{job_id}")).json()["result"]
    if response_format == "json":
        assert decoded(result, "images") == files(2)
    else:
        assert result["image_urls"] == [f"/api/v1/jobs/{job_id}/image", f"/api/v1/jobs/{job_id}/image?index=1"]


@pytest.mark.parametrize("path", [GENERATE, "/compose"])
async def test_a_binary_answer_is_the_file_with_the_rest_in_headers(edge: Edge, path: str):
    body = {**EDIT, "response_format": "binary"}
    answer = await edge.client.post(
        path, json={"request": body} if path == "/compose" else body, headers={"X-Request-ID": "mine"}
    )
    assert (answer.status_code, answer.content) == (200, files(1)[0])
    assert PillowImage.open(io.BytesIO(answer.content)).size == (256, 256)
    told = {name: answer.headers[name] for name in ("content-type", "x-job-id", "x-seed", "x-pipeline", "x-warnings")}
    assert told == {
        "content-type": "image/png",
        "x-job-id": edge.only_job.id,
        "x-seed": "7",
        "x-pipeline": "simple",
        "x-warnings": "2",
    }
    assert (answer.headers["x-processing-time-ms"], answer.headers["x-request-id"]) == ("12", "mine")
    assert answer.headers["cache-control"] == "private, no-store"
    assert not [key for key in edge.blobs.blobs if key.startswith("image")]


async def test_an_error_of_a_binary_edit_is_the_usual_envelope(edge: Edge):
    answer = await edge.client.post(GENERATE, json={**EDIT, "base_image": "aGk=", "response_format": "binary"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "UNPROCESSABLE_IMAGE")


@pytest.mark.parametrize(
    ("path", "response_format"),
    [
        (ASYNC, "binary"),
        ("/compose_task", "binary"),
        ("/compose_task/submit", "binary"),
        (ANALYZE, "binary"),
        (ANALYZE, "url"),
    ],
)
async def test_what_cannot_be_delivered_so_is_refused_by_its_name(edge: Edge, path: str, response_format: str):
    body = {**EDIT, "response_format": response_format}
    answer = await edge.client.post(path, json={"request": body} if path.startswith("/compose") else body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["details"]) == (
        400,
        "INVALID_INPUT",
        {"field": "response_format"},
    )
    assert edge.queue.jobs == {}


async def test_an_analysis_of_candidates_is_that_of_one(edge: Edge):
    answer = await edge.client.post(ANALYZE, json={**EDIT, "n": 8})
    assert set(answer.json()["result"]) == {"mask", "metadata"}


async def test_a_background_job_has_the_whole_time_limit_for_each_candidate(edge: Edge):
    await edge.client.post(ASYNC, json={**EDIT, "n": 4})
    limit_s = edge.context.config.limits.request_timeout_seconds
    assert edge.only_job.time_limit_s == 4 * limit_s


async def test_those_who_wait_have_the_limit_once(edge: Edge):
    await edge.client.post(GENERATE, json={**EDIT, "n": 4, "response_format": "url"})
    assert edge.only_job.time_limit_s <= edge.context.config.limits.request_timeout_seconds
    assert edge.only_job.payload.response_format is ResponseFormat.URL


def limited(per_minute: int):
    config = Config(api=ApiConfig(rate_limit_per_minute=per_minute))
    return open_edge(config, outcome=lambda job: JobStatus.PENDING)


@pytest.mark.parametrize("path", [ASYNC, "/compose_task", "/compose_task/submit"])
async def test_candidates_count_as_so_many_edits_towards_the_rate(path: str):
    async with limited(10) as edge:
        for n, status in ((4, 200), (5, 200), (2, 429)):
            body = {**EDIT, "n": n}
            answer = await edge.client.post(path, json={"request": body} if path.startswith("/compose") else body)
            assert answer.status_code == status, answer.text
        assert 6 <= int(answer.headers["retry-after"]) <= 12
        assert answer.json()["error"]["code"] == "RATE_LIMITED"
        assert len(edge.queue.jobs) == 2


async def test_more_candidates_than_the_rate_ever_allows_are_refused_by_name():
    async with limited(5) as edge:
        answer = await edge.client.post(ASYNC, json={**EDIT, "n": 6})
        assert (answer.status_code, answer.json()["error"]["details"]) == (400, {"field": "n"})
        assert "no more than 5 edits per minute" in answer.json()["error"]["message"]
    async with limited(5) as edge:
        assert (await edge.client.post(ASYNC, json={**EDIT, "n": 5})).status_code == 200


async def test_an_analysis_of_candidates_costs_one():
    opened: list[Edge] = []
    config = Config(api=ApiConfig(rate_limit_per_minute=2))
    async with open_edge(config, outcome=completing(opened)) as edge:
        opened.append(edge)
        answers = [await edge.client.post(ANALYZE, json={**EDIT, "n": 8}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"points": [[10, 10], [256, 10]]}, "config.points.1"),
        ({"points": [[10, 256]]}, "config.points.0"),
        ({"box": [0, 0, 257, 256]}, "config.box"),
    ],
)
async def test_what_is_pointed_at_off_the_photo_is_refused_before_a_job_is_accepted(edge: Edge, config, field):
    answer = await edge.client.post(ASYNC, json={**EDIT, "config": config})
    assert (answer.status_code, answer.json()["error"]["details"]) == (400, {"field": field})
    assert edge.queue.jobs == {}


FORM = {"files": {"base_image": ("photo.png", encoded(gradient()))}}


async def test_a_form_asks_for_candidates_and_for_the_image_itself_as_json_does(edge: Edge):
    answer = await edge.client.post(GENERATE, data={"prompt": "blue car", "n": "3"}, **FORM)
    assert decoded(answer.json()["result"], "images") == files(3)
    answer = await edge.client.post(GENERATE, data={"prompt": "blue car", "response_format": "binary"}, **FORM)
    assert (answer.headers["content-type"], answer.content) == ("image/png", files(1)[0])


@pytest.mark.parametrize("stream", ["false", "true"])
async def test_openai_s_route_answers_every_candidate(edge: Edge, stream: str):
    sent = {"prompt": "blue car", "n": "3", "seed": "7", "stream": stream}
    answer = await edge.client.post("/v1/images/edits", data=sent, files={"image": FORM["files"]["base_image"]})
    assert answer.status_code == 200, answer.text
    if stream == "true":
        lines = [line.partition(": ")[2] for line in answer.text.splitlines() if line.startswith("data: ")]
        images = [json.loads(line) for line in lines]
    else:
        images = answer.json()["data"]
    assert [base64.b64decode(image["b64_json"]) for image in images] == files(3)
    assert (edge.only_job.payload.n, edge.only_job.payload.options.seed) == (3, 7)
    assert not [key for key in edge.blobs.blobs if key.startswith("image")]


async def test_candidates_of_openai_s_route_count_towards_the_rate():
    async with open_edge(Config(api=ApiConfig(rate_limit_per_minute=2))) as edge:
        sent = {"prompt": "blue car", "n": "3"}
        answer = await edge.client.post("/v1/images/edits", data=sent, files={"image": FORM["files"]["base_image"]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "n")


@pytest.mark.parametrize("path", ["/api/v1/status/{}", "/api/v1/jobs/{}/image", "/compose_task/get?task_id={}"])
async def test_however_many_ask_only_a_few_results_are_in_memory_at_once(edge: Edge, path: str):
    job_id = (await edge.client.post(ASYNC, json=EDIT)).json()["job_id"]
    reading, most, get = 0, 0, edge.blobs.get

    async def slow_get(key: str) -> bytes:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        await asyncio.sleep(0.02)
        reading -= 1
        return await get(key)

    edge.blobs.get = slow_get
    answers = await asyncio.gather(*(edge.client.get(path.format(job_id)) for _ in range(5 * DELIVERIES_AT_ONCE)))
    assert {answer.status_code for answer in answers} == {200}
    assert 1 < most <= DELIVERIES_AT_ONCE
