"""Edits as tools of the Model Context Protocol, called by the protocol's own SDK."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import mcp as sdk
import pytest
from mcp.client.streamable_http import streamable_http_client

from api.app import create_app
from api.mcp.edits import MAX_FILE_BYTES
from api.security import install_guards
from composition.config import ApiConfig, Config
from composition.errors import QueueFull
from composition.jobs import Job, JobError, JobKind, JobResult, JobStatus, Priority
from composition.loras.library import LoraLibrary
from tests.fakes.fake_fetcher import FakeFetcher
from tests.fakes.fake_job_queue import Outcome
from tests.unit.api.conftest import ACCOUNT, Edge, open_edge
from tests.unit.api.images import base64_of, encoded, gradient, mask, photo
from tests.unit.api.video.clips import clip

# Its own remarks about what its next version drops.
pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")

EDIT = {"base_image": photo(), "prompt": "blue car"}
VIEWS = {"base_images": [photo(), photo()], "prompt": "blue car"}
UNKNOWN = "2f4c7b0e-8d3a-4a58-9a2e-5d0c6f2b1e77"
KEYS = {"ann": "key-of-ann", "bob": "key-of-bob"}


@asynccontextmanager
async def opened(
    api: ApiConfig | None = None,
    outcome: Callable[[Job], Outcome] | None = None,
    *,
    config: Config | None = None,
    loras: LoraLibrary | None = None,
    fetcher: FakeFetcher | None = None,
) -> AsyncIterator[Edge]:
    config = (config or Config()).model_copy(update={"api": (api or ApiConfig()).model_copy(update={"mcp": True})})
    async with open_edge(config, outcome=outcome, loras=loras, fetcher=fetcher) as edge:
        app = create_app(edge.context, mcp=True)
        install_guards(app, config.api)
        edge.client._transport.app = app
        yield edge


@asynccontextmanager
async def connected(edge: Edge, *, key: str = "", mode: str = "auto") -> AsyncIterator[Any]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    transport = httpx2.ASGITransport(app=edge.client._transport.app)
    async with (
        httpx2.AsyncClient(transport=transport, headers=headers) as http_client,
        sdk.Client(streamable_http_client("http://service/mcp", http_client=http_client), mode=mode) as client,
    ):
        yield client


async def facts(client: Any, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    assert json.loads(result.content[0].text) == result.structured_content
    return result.structured_content


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_edit_is_submitted_followed_and_delivered(mode: str):
    async with opened() as edge, connected(edge, mode=mode) as client:
        job_id = (await facts(client, "edit", {**EDIT, "config": {"seed": 7}}))["job_id"]
        job = edge.only_job
        assert (job.id, job.kind, job.priority, job.payload.options.seed) == (job_id, JobKind.EDIT, Priority.BATCH, 7)
        result = await client.call_tool("job", {"job_id": job_id})
    assert (result.structured_content["status"], result.structured_content["result"]) == ("completed", ACCOUNT)
    (image,) = result.content[1:]
    assert (image.type, image.mime_type, base64.b64decode(image.data)) == ("image", "image/png", encoded(gradient()))


async def test_the_tools_say_what_they_take():
    async with opened() as edge, connected(edge) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {
        "analyze",
        "edit",
        "edit_views",
        "edit_video",
        "job",
        "cancel",
        "loras",
        "add_lora",
        "delete_lora",
    }
    schema = tools["edit"].input_schema
    assert {"base_image", "reference_image", "mask_image", "prompt", "config"} <= set(schema["properties"])
    listed, absent = schema["properties"]["reference_images"]["anyOf"]
    content = {"$ref": "#/$defs/ImageContent"}
    assert listed["items"]["anyOf"][1:] == [{"$ref": "#/$defs/ReferenceImage"}, content]
    assert content in schema["$defs"]["ReferenceImage"]["properties"]["image"]["anyOf"]
    assert content in schema["$defs"]["DrawnPart"]["properties"]["mask_image"]["anyOf"]
    assert (listed["maxItems"], absent) == (4, {"type": "null"})
    assert not {"callback_url", "response_format"} & set(schema["properties"])
    assert schema["required"] == ["base_image"]
    assert "edits" in schema["properties"]
    assert "num_inference_steps" in schema["$defs"]["GenerateConfig"]["properties"]
    of_one = schema["$defs"]["RegionEdit"]["properties"]
    assert "blend" in of_one
    assert content in of_one["mask_image"]["anyOf"]
    assert content in of_one["reference_images"]["anyOf"][0]["items"]["anyOf"]
    assert tools["analyze"].annotations.read_only_hint
    of_views = tools["edit_views"].input_schema
    several = of_views["properties"]["base_images"]
    assert (several["minItems"], several["maxItems"], several["items"]["anyOf"][-1]) == (2, 8, content)
    assert not {"callback_url", "response_format", "n", "edits", "mask_image"} & set(of_views["properties"])
    assert of_views["required"] == ["base_images", "prompt"]
    of_clips = tools["edit_video"].input_schema
    assert of_clips["properties"]["video"]["anyOf"][-1] == {"$ref": "#/$defs/FileContent"}
    assert not {"callback_url", "response_format", "n", "edits", "mask_image"} & set(of_clips["properties"])
    assert of_clips["required"] == ["video", "prompt"]


async def test_views_are_submitted_and_delivered_in_their_order():
    photographs = encoded(gradient(), "JPEG"), encoded(gradient(256, 320), "WEBP")
    painted = encoded(gradient()), encoded(gradient(256, 320))
    result = JobResult(
        image_key="first", other_image_keys=("second",), image_media_type="image/png", mask_key=None, account=ACCOUNT
    )
    async with opened(outcome=lambda job: result) as edge, connected(edge) as client:
        edge.blobs.blobs |= {"first": painted[0], "second": painted[1]}
        edge.fetcher.files["https://shop.example/side.webp"] = photographs[1]
        image = {"type": "image", "data": base64_of(photographs[0]), "mimeType": "image/jpeg"}
        asked = {"base_images": [image, "https://shop.example/side.webp"], "prompt": "red car", "config": {"seed": 7}}
        job_id = (await facts(client, "edit_views", asked))["job_id"]
        payload = edge.only_job.payload
        assert [edge.blobs.blobs[key] for key in payload.blob_keys] == list(photographs)
        assert (payload.prompt, payload.options.seed, len(payload.view_keys)) == ("red car", 7, 1)
        told = await client.call_tool("job", {"job_id": job_id})
    assert [base64.b64decode(image.data) for image in told.content[1:]] == list(painted)


def clip_of(size_bytes: int, blobs: dict[str, bytes]) -> JobResult:
    blobs |= {"clip": bytes(size_bytes), "first": encoded(gradient())}
    of_first = {"image_key": "first", "image_media_type": "image/png", "mask_key": None}
    return JobResult(**of_first, account=ACCOUNT, video_key="clip", video_media_type="image/gif")


async def test_a_clip_is_submitted_and_delivered_with_its_first_frame():
    sent = clip("webp")
    async with opened() as edge, connected(edge) as client:
        edge.queue._outcome = lambda job: clip_of(9, edge.blobs.blobs)
        blob = {"uri": "file:///drive.webp", "mimeType": "image/webp", "blob": base64_of(sent)}
        asked = {"prompt": "red car", "output": "gif", "config": {"seed": 7}}
        job_id = (await facts(client, "edit_video", {"video": {"type": "resource", "resource": blob}, **asked}))[
            "job_id"
        ]
        payload = edge.only_job.payload
        assert [edge.blobs.blobs[key] for key in payload.blob_keys] == [sent]
        assert (payload.prompt, payload.options.seed, payload.video.frames) == ("red car", 7, 4)
        told = await client.call_tool("job", {"job_id": job_id})
        where = f"/api/v1/jobs/{job_id}/video"
        assert told.structured_content["result"] == {**ACCOUNT, "video_url": where, "media_type": "image/gif"}
        frame, file = told.content[1:]
        assert base64.b64decode(frame.data) == encoded(gradient())
        assert (file.resource.uri, file.resource.mime_type) == (where, "image/gif")
        assert base64.b64decode(file.resource.blob) == bytes(9)
        clip_of(MAX_FILE_BYTES + 1, edge.blobs.blobs)
        assert len((await client.call_tool("job", {"job_id": job_id})).content) == 2  # the text and the frame


async def test_images_come_as_the_protocol_has_them_or_by_url():
    sent, painted = encoded(gradient(), "JPEG"), encoded(mask())
    async with opened() as edge, connected(edge) as client:
        edge.fetcher.files["https://shop.example/car.jpg"] = sent
        image = {"type": "image", "data": base64_of(painted), "mimeType": "image/png"}
        references = {"reference_images": [image, "https://shop.example/car.jpg"]}
        arguments = {"base_image": "https://shop.example/car.jpg", "prompt": "x", "mask_image": image, **references}
        await facts(client, "edit", arguments)
        assert [edge.blobs.blobs[key] for key in edge.only_job.payload.blob_keys] == [sent, painted, sent, painted]


async def test_several_edits_have_images_of_their_own():
    painted, garment = encoded(mask()), encoded(gradient(), "WEBP")
    async with opened() as edge, connected(edge) as client:
        edge.fetcher.files["https://shop.example/jacket.webp"] = garment
        image = {"type": "image", "data": base64_of(painted), "mimeType": "image/png"}
        drawn = {"mask_image": image}
        said = {"image": "https://shop.example/jacket.webp", "weight": 0.5, "for": drawn}
        edits = [
            {"prompt": "red car", "mask_image": image, "blend": 0.5},
            {
                "prompt": "this jacket",
                "target": "coat",
                "reference_images": [image, said],
            },
        ]
        await facts(client, "edit", {"base_image": photo(), "edits": edits, "config": {"seed": 7}})
        payload = edge.only_job.payload
    first, second = payload.edits
    assert (first.prompt, second.prompt, payload.options.seed) == ("red car", "this jacket", 7)
    assert (first.options, second.options) == ({"blend": 0.5}, {"target": "coat"})
    assert edge.blobs.blobs[first.mask_key] == painted
    assert [edge.blobs.blobs[key] for key in second.reference_keys] == [painted, garment]
    plain, part = second.reference_uses
    assert (plain.weight, part.weight, edge.blobs.blobs[part.mask_key]) == (1.0, 0.5, painted)


async def test_an_analysis_shows_its_mask_and_leaves_no_image():
    async with opened() as edge, connected(edge) as client:
        result = await client.call_tool("analyze", EDIT)
        assert result.structured_content["pipeline"] == "simple"
        assert base64.b64decode(result.content[1].data) == encoded(mask())
        assert edge.only_job.kind is JobKind.ANALYZE
        assert [key for key in edge.blobs.blobs if key.startswith("mask-of")] == []


async def test_a_job_that_does_not_end_is_answered_as_it_stands_and_can_be_cancelled():
    async with opened(outcome=lambda job: JobStatus.PENDING) as edge, connected(edge) as client:
        job_id = (await facts(client, "edit", EDIT))["job_id"]
        assert (await facts(client, "job", {"job_id": job_id, "wait_s": 0.01}))["status"] == "pending"
        assert (await facts(client, "cancel", {"job_id": job_id}))["status"] == "cancelled"
        assert edge.queue.cancelled == [job_id]
        assert (await facts(client, "job", {"job_id": job_id}))["error_code"] == "CANCELLED"


async def test_a_failed_job_says_why():
    error = JobError(code="NO_DETECTION", message="nothing was found")
    async with opened(outcome=lambda job: error) as edge, connected(edge) as client:
        told = await facts(client, "job", {"job_id": (await facts(client, "edit", EDIT))["job_id"]})
        assert (told["status"], told["error_code"], told["error"]) == ("failed", "NO_DETECTION", "nothing was found")
        result = await client.call_tool("analyze", EDIT)
        assert (result.is_error, result.content[0].text) == (True, "NO_DETECTION: nothing was found")


async def test_images_that_are_gone_are_told_as_over_rest():
    lost = JobResult(image_key="lost", image_media_type="image/png", mask_key=None, account=ACCOUNT)
    async with opened(outcome=lambda job: lost) as edge, connected(edge) as client:
        job_id = (await facts(client, "edit", EDIT))["job_id"]
        followed = await client.call_tool("job", {"job_id": job_id})
        assert (followed.is_error, followed.structured_content["code"]) == (True, "NOT_FOUND")
        assert followed.structured_content["details"] == {"job_id": job_id, "status": "completed"}
        shown = await client.call_tool("analyze", EDIT)  # whose caller waited, and may ask again
        assert (shown.is_error, shown.structured_content["code"]) == (True, "NOT_READY")


BAD = {
    "no prompt": ("edit", {"base_image": photo()}, "INVALID_INPUT"),
    "an unknown option": ("edit", {**EDIT, "config": {"steps": 3}}, "INVALID_INPUT"),
    "a prompt beside edits": ("edit", {**EDIT, "edits": [{"prompt": "red car"}]}, "INVALID_INPUT"),
    "too many edits": ("edit", {"base_image": photo(), "edits": [{"prompt": "red car"}] * 9}, "INVALID_INPUT"),
    "an edit that is none": ("edit", {"base_image": photo(), "edits": ["red car"]}, "INVALID_INPUT"),
    "an unknown LoRA": ("edit", {**EDIT, "config": {"loras": {"ink": 0.5}}}, "INVALID_INPUT"),
    "a way to deliver": ("edit", {**EDIT, "callback_url": "https://shop.example/hook"}, "INVALID_INPUT"),
    "one view": ("edit_views", {"base_images": [photo()], "prompt": "red car"}, "INVALID_INPUT"),
    "a mask of views": ("edit_views", {**VIEWS, "mask_image": photo()}, "INVALID_INPUT"),
    "a way to deliver views": ("edit_views", {**VIEWS, "response_format": "url"}, "INVALID_INPUT"),
    "a clip that is none": ("edit_video", {"video": photo(), "prompt": "red car"}, "UNPROCESSABLE_IMAGE"),
    "a file without content": ("edit_video", {"video": {"type": "resource"}, "prompt": "x"}, "INVALID_INPUT"),
    "no image": ("edit", {**EDIT, "base_image": base64_of(b"text")}, "UNPROCESSABLE_IMAGE"),
    "an address inside": ("edit", {**EDIT, "base_image": "http://nowhere.example/x"}, "UNPROCESSABLE_URL"),
    "an unknown job": ("job", {"job_id": UNKNOWN}, "NOT_FOUND"),
    "no job's id": ("cancel", {"job_id": "1"}, "NOT_FOUND"),
    "a long wait": ("job", {"job_id": UNKNOWN, "wait_s": 31}, "INVALID_INPUT"),
}


@pytest.mark.parametrize("case", BAD)
async def test_what_cannot_be_used_is_an_error_that_can_be_read(case: str):
    tool, arguments, code = BAD[case]
    async with opened() as edge, connected(edge) as client:
        result = await client.call_tool(tool, arguments)
        assert (result.is_error, result.structured_content["code"]) == (True, code)
        assert result.content[0].text == f"{code}: {result.structured_content['message']}"
        assert edge.queue.jobs == {}


async def test_a_full_queue_refuses_an_edit_and_still_tells_of_jobs():
    async with opened() as edge, connected(edge) as client:
        job_id = (await facts(client, "edit", EDIT))["job_id"]
        edge.queue.refusal = edge.queue.full = QueueFull("too many jobs are waiting")
        result = await client.call_tool("edit", EDIT)
        assert (result.is_error, result.structured_content["code"]) == (True, "QUEUE_FULL")
        assert (await facts(client, "job", {"job_id": job_id}))["status"] == "completed"


async def test_what_breaks_inside_is_opaque():
    async with opened() as edge, connected(edge) as client:
        edge.blobs.failure = OSError("the password is 1234")
        result = await client.call_tool("edit", EDIT)
        assert (result.is_error, result.structured_content["code"]) == (True, "INTERNAL")
        assert "1234" not in str(result)


async def test_a_job_is_its_owner_s_alone():
    async with opened(ApiConfig(api_keys=KEYS)) as edge:
        async with connected(edge, key="key-of-ann") as ann:
            job_id = (await facts(ann, "edit", EDIT))["job_id"]
        assert edge.only_job.owner == "ann"
        async with connected(edge, key="key-of-bob") as bob:
            for tool in ("job", "cancel"):
                result = await bob.call_tool(tool, {"job_id": job_id})
                assert (result.is_error, result.structured_content["code"]) == (True, "NOT_FOUND")
        status = await edge.client.get(f"/api/v1/status/{job_id}", headers={"X-API-Key": "key-of-ann"})
        assert status.json()["status"] == "completed"


async def post(edge: Edge, content: bytes = b"{}", **headers: str) -> httpx.Response:
    sent = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **headers}
    return await edge.client.post("/mcp", content=content, headers=sent)


@pytest.mark.parametrize("tool", ["edit", "analyze"])
async def test_a_draining_service_takes_no_work_from_here_either(tool: str):
    async with opened() as edge, connected(edge) as client:
        edge.context.drain.turn(on=True)
        result = await client.call_tool(tool, EDIT)
        assert (result.is_error, result.structured_content["code"]) == (True, "NOT_READY")
        assert not edge.queue.jobs


async def test_the_guards_stand_before_it():
    async with opened(ApiConfig(api_keys=KEYS, rate_limit_per_minute=1)) as edge:
        assert (await post(edge)).status_code == 401
        key = {"X-API-Key": "key-of-ann"}
        assert (await post(edge, **key)).status_code == 400
        assert (await post(edge, **key)).status_code == 429
    async with opened(ApiConfig(max_request_size_mb=1)) as edge:
        assert (await post(edge, bytes(2**20 + 1))).status_code == 413
        assert (await post(edge, Origin="https://evil.example")).status_code == 403


@pytest.mark.parametrize("content", [b"{", b"[" + b"0," * 20_000 + b"0]", b"[" * 9_000, b"\xff", b"", b"[]", b"null"])
async def test_a_body_that_is_no_message_is_refused(content: bytes):
    async with opened() as edge:
        assert (await post(edge, content)).status_code == 400


async def test_it_is_not_there_unless_it_was_asked_for(edge: Edge):
    answer = await post(edge)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
