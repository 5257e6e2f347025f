"""OpenAI's own Python package against our routes: it sends the forms and reads the answers, streams and errors."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import openai
import pytest

from composition.config import ApiConfig, Config
from composition.errors import QueueFull
from composition.jobs import JobError
from tests.unit.api.conftest import Edge, open_edge
from tests.unit.api.images import encoded, gradient

MODEL = "image-composition"
PHOTO, REFERENCE = encoded(gradient(300, 256), "JPEG"), encoded(gradient(64, 80), "WEBP")
KEYS = Config(api=ApiConfig(api_keys={"ann": "key-of-ann"}))


@asynccontextmanager
async def opened(edge: Edge, *, key: str = "key-of-ann", max_retries: int = 0) -> AsyncIterator[openai.AsyncOpenAI]:
    transport = httpx2.ASGITransport(app=edge.client._transport.app)
    http_client = httpx2.AsyncClient(transport=transport)
    async with openai.AsyncOpenAI(
        base_url="http://service/v1", api_key=key, http_client=http_client, max_retries=max_retries
    ) as client:
        yield client


async def test_an_edit():
    async with open_edge(KEYS) as edge, opened(edge) as client:
        answer = await client.images.edit(model=MODEL, image=PHOTO, prompt="blue car", extra_body={"seed": 7})
    assert base64.b64decode(answer.data[0].b64_json) == encoded(gradient())
    assert (answer.size, answer.output_format, answer.background) == ("256x256", "png", "opaque")
    assert (edge.only_job.owner, edge.only_job.payload.options.seed) == ("ann", 7)
    assert edge.blobs.blobs[edge.only_job.payload.base_key] == PHOTO


async def test_an_edit_with_everything_that_can_be_honoured():
    async with open_edge(KEYS) as edge, opened(edge) as client:
        answer = await client.images.edit(
            model=MODEL,
            image=[("car.jpg", PHOTO), ("wheels.webp", REFERENCE)],
            prompt="car with these rims",
            background="opaque",
            input_fidelity="high",
            n=1,
            output_format="jpeg",
            quality="low",
            response_format="b64_json",
            size="300x256",
            user="somebody",
        )
    assert (answer.output_format, answer.quality) == ("jpeg", "low")
    assert [edge.blobs.blobs[key] for key in edge.only_job.payload.blob_keys] == [PHOTO, REFERENCE]


async def test_a_stream():
    async with open_edge(KEYS) as edge, opened(edge) as client:
        stream = await client.images.edit(model=MODEL, image=PHOTO, prompt="x", stream=True, partial_images=0)
        (event,) = [event async for event in stream]
    assert event.type == "image_edit.completed"
    assert base64.b64decode(event.b64_json) == encoded(gradient())
    assert event.usage.total_tokens == 0


async def test_a_stream_that_fails():
    error = JobError(code="MODEL_ERROR", message="a model failed")
    async with open_edge(KEYS, outcome=lambda job: error) as edge, opened(edge) as client:
        stream = await client.images.edit(model=MODEL, image=PHOTO, prompt="x", stream=True)
        with pytest.raises(openai.APIError, match="a model failed"):
            [event async for event in stream]


async def test_the_models():
    async with open_edge(KEYS) as edge, opened(edge) as client:
        assert [model.id async for model in client.models.list()] == [MODEL]
        assert (await client.models.retrieve(MODEL)).owned_by == "self-hosted"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("gpt-image-2")


async def test_a_refusal_names_the_parameter():
    async with open_edge(KEYS) as edge, opened(edge) as client:
        with pytest.raises(openai.BadRequestError, match="background") as caught:
            await client.images.edit(image=PHOTO, prompt="x", background="transparent")
    assert (caught.value.param, caught.value.code, caught.value.type) == (
        "background",
        "invalid_input",
        "invalid_request_error",
    )
    assert caught.value.request_id


async def test_a_wrong_key():
    async with open_edge(KEYS) as edge, opened(edge, key="guess") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.images.edit(image=PHOTO, prompt="x")


async def test_a_full_queue_is_tried_again_as_the_service_says():
    async with open_edge(KEYS) as edge, opened(edge, max_retries=1) as client:
        check, refusals = edge.queue.check_room, [QueueFull("too many jobs are waiting", retry_after_s=0)]

        async def full_once() -> None:
            if refusals:
                raise refusals.pop()
            await check()

        edge.queue.check_room = full_once
        answer = await client.images.edit(image=PHOTO, prompt="x")
    assert len(answer.data) == 1


async def test_an_edit_that_took_too_long_is_not_tried_again():
    async with open_edge(KEYS, outcome=lambda job: JobError(code="TIMEOUT", message="too long")) as edge:
        async with opened(edge, max_retries=2) as client:
            with pytest.raises(openai.InternalServerError, match="too long"):
                await client.images.edit(image=PHOTO, prompt="x")
        assert len(edge.queue.jobs) == 1
