"""A clip over REST: what is taken, what is refused with nothing left behind, what it costs, and how it is delivered."""

from __future__ import annotations

import base64
import json

import pytest

from composition.config import ApiConfig, Config
from composition.jobs import JobKind, JobResult, Priority, VideoOfPayload
from composition.request import ResponseFormat, VideoOutput
from tests.unit.api.conftest import ACCOUNT, Edge, open_edge
from tests.unit.api.images import base64_of, encoded, gradient, mask, photo
from tests.unit.api.video.clips import clip, frames, gif_of

VIDEO = "/api/v1/video"
CLIP = clip("webp")


def body(**fields):
    return {"video": base64_of(CLIP), "prompt": "make the car red", **fields}


async def test_a_clip_becomes_a_job_in_the_background(edge: Edge):
    answer = await edge.client.post(VIDEO, json=body(negative_prompt="rust", config={"seed": 3, "target": "car"}))
    assert answer.status_code == 200, answer.text
    job = edge.only_job
    payload = job.payload
    assert answer.json()["status_url"] == f"/api/v1/status/{job.id}"
    assert (job.kind, job.priority, job.schema_version) == (JobKind.EDIT, Priority.BATCH, 5)
    assert payload.video == VideoOfPayload(output=VideoOutput.WEBP, frames=4)
    assert (payload.prompt, payload.negative_prompt, payload.options.seed) == ("make the car red", "rust", 3)
    assert payload.response_format is ResponseFormat.URL
    assert edge.blobs.blobs[payload.base_key] == CLIP
    assert job.time_limit_s == 4 * edge.context.config.limits.request_timeout_seconds


async def test_a_job_has_a_seed_in_any_case_so_that_another_attempt_has_the_same(edge: Edge):
    await edge.client.post(VIDEO, json=body(config={"seed": -1}))
    assert edge.only_job.payload.options.seed >= 0


async def test_a_form_and_a_url_start_the_job_that_the_same_json_starts(edge: Edge):
    edge.fetcher.files["https://clips.example/a.webp"] = CLIP
    reference = encoded(gradient(64, 80), "WEBP")
    texts = {"prompt": "make the car red", "output": "gif", "config": json.dumps({"seed": 5})}
    form = await edge.client.post(
        VIDEO, data=texts, files={"video": ("a.webp", CLIP), "reference_images": ("r", reference)}
    )
    plain = {"output": "gif", "config": {"seed": 5}, "reference_images": [base64_of(reference)]}
    url = await edge.client.post(VIDEO, json=body(video="https://clips.example/a.webp", **plain))
    assert (form.status_code, url.status_code) == (200, 200), form.text + url.text
    for job in edge.queue.jobs.values():
        assert [edge.blobs.blobs[key] for key in job.payload.blob_keys] == [CLIP, reference]
        assert (job.payload.video.output, job.payload.options.seed) == (VideoOutput.GIF, 5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"video": "no base64!"}, "video"),
        ({"prompt": " "}, "prompt"),
        ({"n": 2}, "n"),
        ({"edits": [{"prompt": "blue car"}]}, "edits"),
        ({"mask_image": base64_of(encoded(mask()))}, "mask_image"),
        ({"output": "avi"}, "output"),
        ({"response_format": "binary"}, "response_format"),
        ({"config": {"box": [0, 0, 9, 9]}}, "config.box is of one photograph"),
        ({"config": {"points": [[1, 1]]}}, "config.points is of one photograph"),
        ({"config": {"return_mask": True}}, "config.return_mask is of photographs"),
        ({"config": {"embed_metadata": True}}, "config.embed_metadata is of photographs"),
        ({"config": {"output_format": "webp"}}, "config.output_format is of photographs: a video has `output`"),
        ({"config": {"oversize": "downscale"}}, "config.oversize is of photographs"),
        ({"reference_image": photo(), "reference_images": [photo()]}, "send one of them"),
        ({"reference_images": [{"image": photo(), "for": "sleeves"}]}, "reference_images.for is of one photograph"),
    ],
)
async def test_what_a_video_cannot_have_is_refused(edge: Edge, fields: dict, message: str):
    answer = await edge.client.post(VIDEO, json=body(**fields))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_INPUT")
    assert message in str(answer.json()["error"])
    assert (edge.queue.jobs, edge.blobs.blobs) == ({}, {})


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"this is no video at all", 422, "is not a GIF, animated WebP, MP4 or WebM file"),
        (encoded(gradient()), 422, "is not a GIF"),
        (encoded(gradient(), "WEBP"), 422, "is a single image"),
        (clip("gif")[:2000], 422, "truncated or corrupt"),
        (CLIP[:-50], 422, "truncated or corrupt"),
        (clip("gif", frames(2, 100, 90)), 422, "at least 256 per side"),
        (gif_of(10_000, ticks=2), 413, "more than 480 frames"),
        (gif_of(2, 7680, 4320), 413, "at most 2048 per side"),
        (gif_of(2, 65535, 65535), 413, "at most 2048 per side"),
        (gif_of(400, ticks=50), 413, "longer than 20 s"),
    ],
    ids=["text", "photo", "still", "cut gif", "cut webp", "small", "10000 frames", "8K", "bomb", "long"],
)
async def test_hostile_clips_are_refused_and_leave_nothing_behind(edge: Edge, data: bytes, status: int, words: str):
    for sent in ({"json": body(video=base64_of(data))}, {"data": {"prompt": "x"}, "files": {"video": ("v", data)}}):
        answer = await edge.client.post(VIDEO, **sent)
        error = answer.json()["error"]
        assert answer.status_code == status, answer.text
        assert error["message"].startswith("video: ")
        assert words in error["message"]
        assert error["details"]["field"] == "video"
        assert (edge.queue.jobs, edge.blobs.blobs) == ({}, {})


async def test_limits_are_those_of_the_configuration():
    async with open_edge(config=Config.model_validate({"video": {"max_frames": 3}})) as edge:
        answer = await edge.client.post(VIDEO, json=body())
        assert (answer.status_code, "more than 3 frames" in answer.text) == (413, True)


async def test_eight_frames_cost_as_much_as_one_edit():
    async with open_edge(config=Config(api=ApiConfig(rate_limit_per_minute=3))) as limited:
        long = body(video=base64_of(clip("webp", frames(17))))
        assert (await limited.client.post(VIDEO, json=long)).status_code == 200
        assert limited.queue.jobs[next(iter(limited.queue.jobs))].places == 3
        kept = len(limited.blobs.blobs)
        assert (await limited.client.post(VIDEO, json=body())).status_code == 429
        assert len(limited.blobs.blobs) == kept


async def test_the_same_key_and_body_is_the_same_job_and_another_body_a_conflict(edge: Edge):
    key = {"Idempotency-Key": "k1"}
    first = await edge.client.post(VIDEO, json=body(), headers=key)
    again = await edge.client.post(VIDEO, json=body(), headers=key)
    assert first.json()["job_id"] == again.json()["job_id"]
    assert (await edge.client.post(VIDEO, json=body(output="gif"), headers=key)).status_code == 422


def edited(blobs):
    def outcome(job):
        blobs.blobs |= {"video": b"the clip", "first": encoded(gradient())}
        return JobResult(
            image_key="first", image_media_type="image/png", mask_key=None, account=ACCOUNT,
            video_key="video", video_media_type="video/webm",
        )  # fmt: skip

    return outcome


@pytest.mark.parametrize("response_format", ["url", "json"])
async def test_an_edited_clip_is_delivered_by_its_url_or_in_the_answer(response_format):
    async with open_edge() as edge:
        edge.queue._outcome = edited(edge.blobs)
        sent = await edge.client.post(VIDEO, json=body(response_format=response_format))
        job_id = sent.json()["job_id"]
        result = (await edge.client.get(f"/api/v1/status/{job_id}")).json()["result"]
        assert result["media_type"] == "video/webm"
        assert "image" not in result
        if response_format == "json":
            assert base64.b64decode(result["video"]) == b"the clip"
        else:
            assert result["video_url"] == f"/api/v1/jobs/{job_id}/video"
        file = await edge.client.get(f"/api/v1/jobs/{job_id}/video")
        assert (file.content, file.headers["content-type"]) == (b"the clip", "video/webm")
        frame = await edge.client.get(f"/api/v1/jobs/{job_id}/image?max_side=64")
        assert frame.headers["content-type"] == "image/webp"


async def test_a_job_without_a_clip_has_none_to_give(edge: Edge):
    sent = await edge.client.post("/api/v1/generate/async", json={"base_image": photo(), "prompt": "red car"})
    answer = await edge.client.get(f"/api/v1/jobs/{sent.json()['job_id']}/video")
    assert (answer.status_code, answer.json()["error"]["details"]) == (404, {"status": "completed"})
