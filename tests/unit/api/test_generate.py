"""POST /generate, /generate/async and /analyze over fakes: bodies, images on their way, ends of the wait."""

from __future__ import annotations

import asyncio
import base64
import json

import numpy as np
import pytest

from api.schemas import GenerateRequest
from api.submission import run_interactive
from composition.config import Config, LimitsConfig, QueueConfig
from composition.errors import NotReady, QueueFull, Timeout
from composition.jobs import JobError, JobKind, JobStatus, Priority
from composition.request import MaskMode, OutputFormat
from tests.fakes.loop_time import frozen_loop_time
from tests.unit.api.conftest import ACCOUNT, Edge, open_edge
from tests.unit.api.images import base64_of, encoded, gradient, mask, photo

GENERATE = "/api/v1/generate"
ASYNC = "/api/v1/generate/async"
ANALYZE = "/api/v1/analyze"
EDIT = {"base_image": photo(), "prompt": "blue car"}


def for_free(edits):
    return None


def never_ending(job):
    return JobStatus.PENDING


async def test_an_edit_answers_the_specified_body(edge: Edge):
    response = await edge.client.post(GENERATE, json=EDIT)
    assert response.status_code == 200
    body = response.json()
    assert set(body) == {"success", "result"}
    assert body["success"] is True
    assert set(body["result"]) == {"image", *ACCOUNT}
    assert base64.b64decode(body["result"]["image"], validate=True) == encoded(gradient())
    assert {key: body["result"][key] for key in ACCOUNT} == ACCOUNT


async def test_the_mask_is_there_when_it_was_asked_for(edge: Edge):
    response = await edge.client.post(GENERATE, json={**EDIT, "config": {"return_mask": True}})
    assert base64.b64decode(response.json()["result"]["mask"]) == encoded(mask())


async def test_a_blocking_edit_is_an_interactive_job_of_one_attempt(edge: Edge):
    await edge.client.post(GENERATE, json=EDIT)
    job = edge.only_job
    assert (job.kind, job.priority, job.max_attempts) == (JobKind.EDIT, Priority.INTERACTIVE, 1)
    assert (job.owner, job.payload.prompt) == ("anonymous", "blue car")


async def test_an_async_edit_answers_its_job_and_where_to_ask(edge: Edge):
    response = await edge.client.post(ASYNC, json={**EDIT, "callback_url": "https://shop.example/hook"})
    assert response.status_code == 200
    job = edge.only_job
    assert response.json() == {"success": True, "job_id": job.id, "status_url": f"/api/v1/status/{job.id}"}
    assert (job.priority, job.max_attempts, job.callback_url) == (Priority.BATCH, 3, "https://shop.example/hook")


async def test_an_analysis_answers_the_mask_and_the_account_without_a_image(edge: Edge):
    response = await edge.client.post(ANALYZE, json=EDIT)
    assert response.status_code == 200
    result = response.json()["result"]
    assert set(result) == {"mask", "pipeline", "models_used", "metadata"}
    assert base64.b64decode(result["mask"]) == encoded(mask())
    assert (edge.only_job.kind, edge.only_job.priority) == (JobKind.ANALYZE, Priority.INTERACTIVE)


async def test_all_three_images_reach_the_job_as_they_were_sent(edge: Edge):
    base, reference, painted = encoded(gradient(), "JPEG"), encoded(gradient(64, 80), "WEBP"), encoded(mask())
    edge.fetcher.files["https://shop.example/jacket.webp"] = reference
    body = {
        **EDIT,
        "base_image": "data:image/jpeg;base64," + base64_of(base),
        "reference_image": "https://shop.example/jacket.webp",
        "mask_image": base64_of(painted),
        "negative_prompt": "blurry",
        "config": {"output_format": "webp"},
    }
    response = await edge.client.post(ASYNC, json=body)
    assert response.status_code == 200
    payload = edge.only_job.payload
    assert edge.blobs.blobs[payload.base_key] == base
    assert [edge.blobs.blobs[key] for key in payload.reference_keys] == [reference]
    assert payload.mask_key is not None
    assert edge.blobs.blobs[payload.mask_key] == painted
    assert payload.negative_prompt == "blurry"
    assert payload.options.output_format is OutputFormat.WEBP


async def test_delivered_images_of_a_blocking_edit_are_deleted(edge: Edge):
    response = await edge.client.post(GENERATE, json={**EDIT, "config": {"return_mask": True}})
    job = edge.only_job
    assert response.headers["x-job-id"] == job.id
    assert job.result is not None
    assert job.result.image_key not in edge.blobs.blobs
    assert job.result.mask_key not in edge.blobs.blobs
    status = (await edge.client.get(f"/api/v1/status/{job.id}")).json()
    assert (status["status"], status["result"]) == ("completed", None)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("NO_DETECTION", 422),
        ("CONTENT_POLICY", 422),
        ("EMPTY_MASK", 422),
        ("MODEL_ERROR", 500),
        ("OUT_OF_MEMORY", 500),
        ("INTERNAL", 500),
        ("TIMEOUT", 504),
        ("NOT_READY", 503),
        ("CANCELLED", 409),
        ("SUPERSEDED", 409),
    ],
)
async def test_a_failed_job_answers_its_own_error(code: str, status: int):
    error = JobError(code=code, message="this is why", details={"phrase": "rims"})
    async with open_edge(outcome=lambda job: error) as edge:
        response = await edge.client.post(GENERATE, json=EDIT)
    assert response.status_code == status
    assert ("retry-after" in response.headers) == (status == 503)
    assert response.json() == {
        "success": False,
        "error": {"code": code, "message": "this is why", "details": {"phrase": "rims"}},
    }


async def test_a_job_that_somebody_cancels_answers_409():
    async with open_edge(outcome=never_ending) as edge:
        waiting = asyncio.create_task(edge.client.post(GENERATE, json=EDIT))
        await edge.queue.submitted.wait()
        await edge.client.delete(f"/api/v1/jobs/{edge.only_job.id}")
        response = await waiting
    assert (response.status_code, response.json()["error"]["code"]) == (409, "CANCELLED")


async def test_a_job_over_the_time_limit_is_cancelled_and_answers_504():
    config = Config(limits=LimitsConfig(request_timeout_seconds=0.05))
    async with open_edge(config, outcome=never_ending) as edge:
        response = await edge.client.post(GENERATE, json=EDIT)
        assert (response.status_code, response.json()["error"]["code"]) == (504, "TIMEOUT")
        assert edge.queue.cancelled == [edge.only_job.id]


async def test_reading_the_request_counts_towards_the_time_limit():
    config = Config(limits=LimitsConfig(request_timeout_seconds=1000))
    async with open_edge(config, outcome=never_ending) as edge:
        request = GenerateRequest.model_validate(EDIT)
        with pytest.raises(Timeout):
            async with asyncio.timeout(60):
                await run_interactive(
                    edge.context, request, kind=JobKind.EDIT, owner="ann", charge=for_free, spent_s=1001
                )
        assert edge.queue.cancelled == [edge.only_job.id]


async def test_an_async_job_has_the_whole_time_limit_for_every_attempt():
    async with open_edge(Config(limits=LimitsConfig(request_timeout_seconds=77))) as edge:
        await edge.client.post(ASYNC, json=EDIT)
        assert edge.only_job.time_limit_s == 77


async def test_an_interactive_job_has_what_reading_and_fetching_left_and_its_caller_waits_as_long():
    config = Config(limits=LimitsConfig(request_timeout_seconds=1000))
    async with open_edge(config, outcome=never_ending) as edge:
        with frozen_loop_time() as time:
            url, fetch = "https://shop.example/photo.png", edge.fetcher.fetch

            async def slow_fetch(address: str) -> bytes:
                await time.advance(100)
                return await fetch(address)

            edge.fetcher.files[url], edge.fetcher.fetch = encoded(gradient()), slow_fetch
            request = GenerateRequest.model_validate({**EDIT, "base_image": url})
            waiting = asyncio.create_task(
                run_interactive(edge.context, request, kind=JobKind.EDIT, owner="ann", charge=for_free, spent_s=300)
            )
            await edge.queue.submitted.wait()
            assert edge.only_job.time_limit_s == 600
            await time.advance(599.75)
            assert not waiting.done()
            await time.advance(0.25)
            with pytest.raises(Timeout, match="the request took longer than 1000 s"):
                await waiting


async def test_images_stored_before_the_store_failed_are_deleted(edge: Edge):
    put, puts = edge.blobs.put, []

    async def second_fails(data: bytes) -> str:
        if puts:
            raise NotReady("the blob store is away")
        puts.append(await put(data))
        return puts[0]

    edge.blobs.put = second_fails
    response = await edge.client.post(ASYNC, json={**EDIT, "reference_image": photo()})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "NOT_READY")
    assert (len(puts), edge.blobs.blobs, edge.queue.jobs) == (1, {}, {})


async def test_images_are_not_kept_by_caches(edge: Edge):
    response = await edge.client.post(GENERATE, json=EDIT)
    assert response.headers["cache-control"] == "private, no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", [GENERATE, ANALYZE])
async def test_a_client_that_leaves_cancels_its_job(path: str):
    async with open_edge(outcome=never_ending) as edge:
        incoming: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        await incoming.put({"type": "http.request", "body": json.dumps(EDIT).encode(), "more_body": False})
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": [(b"content-type", b"application/json")],
            "client": ("127.0.0.1", 1),
            "server": ("service", 80),
        }

        async def send(message: dict[str, object]) -> None:
            return

        transport = edge.client._transport
        serving = asyncio.create_task(transport.app(scope, incoming.get, send))
        await edge.queue.submitted.wait()
        await incoming.put({"type": "http.disconnect"})
        await serving
        assert edge.queue.cancelled == [edge.only_job.id]
        assert edge.queue.jobs[edge.only_job.id].status is JobStatus.CANCELLED


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (QueueFull("the queue is full", retry_after_s=7), 503, "QUEUE_FULL"),
        (NotReady("the job store is away", retry_after_s=3), 503, "NOT_READY"),
    ],
)
@pytest.mark.parametrize("path", [GENERATE, ASYNC, ANALYZE])
async def test_a_refused_submission_says_when_to_come_back_and_leaves_no_blobs(
    edge: Edge, path: str, refusal: QueueFull, status: int, code: str
):
    edge.queue.refusal = refusal
    response = await edge.client.post(path, json=EDIT)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response.headers["retry-after"] == str(refusal.retry_after_s)
    assert edge.blobs.blobs == {}


@pytest.mark.parametrize("path", [GENERATE, ANALYZE])
async def test_a_callback_is_only_for_async(edge: Edge, path: str):
    response = await edge.client.post(path, json={**EDIT, "callback_url": "https://shop.example/hook"})
    assert (response.status_code, response.json()["error"]["details"]) == (400, {"field": "callback_url"})
    assert edge.queue.jobs == {}


async def test_a_callback_to_a_forbidden_address_is_refused_at_submission(edge: Edge):
    edge.fetcher.forbidden.add("http://10.0.0.1/hook")
    response = await edge.client.post(ASYNC, json={**EDIT, "callback_url": "http://10.0.0.1/hook"})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "UNPROCESSABLE_URL")
    assert edge.queue.jobs == {}


async def test_the_same_idempotency_key_and_body_answer_the_same_job(edge: Edge):
    headers = {"Idempotency-Key": "order-17"}
    first = await edge.client.post(ASYNC, json=EDIT, headers=headers)
    stored = dict(edge.blobs.blobs)
    reordered = dict(reversed(EDIT.items()))
    for same in (reordered, {**EDIT, "n": 1, "negative_prompt": None, "config": {"sharpen": False}}):
        again = await edge.client.post(ASYNC, json=same, headers=headers)
        assert again.json() == first.json()
    assert edge.blobs.blobs == stored


async def test_the_same_idempotency_key_with_another_body_is_a_conflict(edge: Edge):
    headers = {"Idempotency-Key": "order-17"}
    await edge.client.post(ASYNC, json=EDIT, headers=headers)
    response = await edge.client.post(ASYNC, json={**EDIT, "prompt": "red car"}, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "INVALID_INPUT")
    assert len(edge.queue.jobs) == 1


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_an_unusable_idempotency_key_is_refused(edge: Edge, key: str):
    response = await edge.client.post(ASYNC, json=EDIT, headers={"Idempotency-Key": key})
    assert response.status_code == 400
    assert response.json()["error"]["details"]["fields"][0]["field"] == "Idempotency-Key"


async def test_async_attempts_follow_the_configuration():
    async with open_edge(Config(queue=QueueConfig(max_attempts=5))) as edge:
        await edge.client.post(ASYNC, json=EDIT)
        assert edge.only_job.max_attempts == 5


async def test_the_mask_mode_reaches_the_job(edge: Edge):
    layer = np.dstack([gradient(), mask()])
    body = {**EDIT, "mask_image": base64_of(encoded(layer)), "config": {"mask_mode": "inverted"}}
    assert (await edge.client.post(ASYNC, json=body)).status_code == 200
    assert edge.only_job.payload.options.mask_mode is MaskMode.INVERTED


@pytest.mark.parametrize("path", [GENERATE, ASYNC, ANALYZE])
async def test_a_mask_that_can_mean_two_things_is_refused_at_submission(edge: Edge, path: str):
    halved = base64_of(encoded(np.dstack([gradient(), np.triu(np.full((256, 256), 255, np.uint8), 40)])))
    response = await edge.client.post(path, json={**EDIT, "mask_image": halved})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "UNPROCESSABLE_IMAGE")
    assert response.json()["error"]["message"].startswith("mask_image: has transparent parts, and it is not clear")
    assert "config.mask_mode" in response.json()["error"]["message"]
    assert response.json()["error"]["details"]["field"] == "mask_image"


async def test_an_empty_mask_says_how_it_was_read(edge: Edge):
    response = await edge.client.post(GENERATE, json={**EDIT, "mask_image": base64_of(encoded(mask(filled=False)))})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "EMPTY_MASK")
    assert response.json()["error"]["message"] == (
        "mask_image: the mask has no pixel to repaint: read as luminance, its light part is, and its lightest grey "
        "value is 0 of 255"
    )


async def test_what_is_said_of_references_goes_into_the_job(edge: Edge):
    said = [
        photo(),
        {"image": photo(), "weight": 0.25, "for": "sleeves"},
        {"image": photo(), "for": {"mask_image": base64_of(encoded(mask()))}},
    ]
    edits = [{"prompt": "red car"}, {"prompt": "this jacket", "reference_images": said}]
    for body in ({**EDIT, "reference_images": said}, {"base_image": photo(), "edits": edits}):
        edge.queue.jobs.clear()
        assert (await edge.client.post(ASYNC, json=body)).status_code == 200
        payload = edge.only_job.payload
        uses = (payload.edits[1] if payload.edits else payload).reference_uses
        assert [(use.weight, use.part, use.mask_key is None) for use in uses] == [
            (1.0, None, True), (0.25, "sleeves", True), (1.0, None, False)
        ]  # fmt: skip
        assert edge.only_job.schema_version == 3
    assert uses[2].mask_key in edge.only_job.payload.blob_keys


async def test_references_as_objects_that_say_nothing_are_a_job_that_every_version_runs(edge: Edge):
    await edge.client.post(ASYNC, json={**EDIT, "reference_images": [{"image": photo(), "weight": 1}]})
    assert (edge.only_job.payload.reference_uses, edge.only_job.schema_version) == ((), 1)
