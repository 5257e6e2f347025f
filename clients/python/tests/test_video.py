"""One edit of a clip: what is sent, by both clients, and what comes back."""

from __future__ import annotations

import base64

import pytest
from composition_client import AsyncClient, Client, NotAnImage
from composition_client.images import suffix_of_clip

from clients.python.tests.service import PIXEL, body_of

CLIP = b"GIF89a and what comes after it"
EDITED = b"GIF89a, the edited clip"
RESULT = {
    "video_url": "/api/v1/jobs/the-one/video",
    "media_type": "image/gif",
    "pipeline_used": "simple",
    "models_used": ["sd-inpainting"],
    "processing_time_ms": 9,
    "metadata": {"frames": 4, "frames_edited": 3, "warnings": ["frame 3: not seen"]},
}


@pytest.fixture
def service(service):
    service.result, service.clip = RESULT, EDITED
    return service


def sent(service) -> tuple[str, dict]:
    (request,) = service.called("POST")
    return request.url.path, body_of(request)


def test_a_clip_goes_as_a_file_and_comes_back_as_one(service, tmp_path):
    (tmp_path / "drive.gif").write_bytes(CLIP)
    with Client("http://service", transport=service.transport) as client:
        video = client.edit_video(
            tmp_path / "drive.gif", "make the car red", reference=PIXEL, negative_prompt="rust", output="webp", seed=3
        )
    path, body = sent(service)
    assert path == "/api/v1/video"
    assert body == {
        "video": base64.b64encode(CLIP).decode(),
        "prompt": "make the car red",
        "reference_images": [base64.b64encode(PIXEL).decode()],
        "negative_prompt": "rust",
        "output": "webp",
        "config": {"seed": 3},
    }
    assert (video.video, video.media_type, video.warnings) == (EDITED, "image/gif", ["frame 3: not seen"])
    video.save(tmp_path / "red.gif")
    assert (tmp_path / "red.gif").read_bytes() == EDITED


async def test_the_awaiting_client_sends_the_same_and_nothing_that_was_not_asked_for(service):
    async with AsyncClient("http://service", transport=service.transport) as client:
        await client.edit_video("https://example.com/drive.mp4", "make the car red")
    path, body = sent(service)
    assert (path, set(body)) == ("/api/v1/video", {"video", "prompt"})


async def test_a_clip_can_be_left_to_the_service_and_be_fetched_later(service):
    with Client("http://service", transport=service.transport) as client:
        job_id = client.submit_video(CLIP, "make the car red", callback_url="https://shop.example/done", output="gif")
        body = sent(service)[1]
        assert (body["callback_url"], body["output"]) == ("https://shop.example/done", "gif")
        assert client.wait_video(job_id).video == client.video(job_id) == EDITED
    service.result = {**RESULT, "video": base64.b64encode(b"within the answer").decode()}
    del service.result["video_url"]
    async with AsyncClient("http://service", transport=service.transport) as client:
        other = await client.submit_video(CLIP, "make the car red", seed=3)
        assert (await client.wait_video(other)).video == b"within the answer"
        assert await client.video(other) == EDITED
    assert list(service.jobs) == [job_id, other]


def test_a_large_clip_goes_as_the_part_of_a_form(service):
    with Client("http://service", transport=service.transport) as client:
        client.edit_video(CLIP * 50_000, "make the car red")
    (request,) = service.called("POST")
    assert request.url.path == "/api/v1/video"
    assert request.headers["content-type"].startswith("multipart/form-data")
    assert b'name="prompt"\r\n\r\nmake the car red' in request.content


def test_a_file_that_is_not_there_is_refused_before_anything_is_sent(service):
    with Client("http://service", transport=service.transport) as client, pytest.raises(NotAnImage):
        client.edit_video("no-such-clip.gif", "make the car red")
    assert service.requests == []


def test_the_command_edits_a_file_into_a_file_beside_it(compose, desk, service):
    (desk / "drive.gif").write_bytes(CLIP)
    done = compose("video", "drive.gif", "make the car red", "--as", "webp", "--seed", "3")
    assert done.exit_code == 0, done.stderr
    assert (done.stdout, (desk / "drive.edited.gif").read_bytes()) == ("drive.edited.gif\n", EDITED)
    assert "3 of 4 frames edited" in done.stderr
    assert "warning: frame 3: not seen" in done.stderr
    _, body = sent(service)
    assert (body["output"], body["config"]) == ("webp", {"seed": 3})
    assert body["video"] == base64.b64encode(CLIP).decode()


def test_the_command_overwrites_nothing_unasked(compose, desk, service):
    (desk / "drive.gif").write_bytes(CLIP)
    (desk / "red.gif").write_bytes(b"mine")
    assert compose("video", "drive.gif", "make the car red", "-o", "red.gif").exit_code == 2
    assert service.requests == []
    done = compose("video", "drive.gif", "make the car red", "-o", "red.gif", "--force", "--json")
    assert (done.exit_code, (desk / "red.gif").read_bytes()) == (0, EDITED)
    assert '"media_type": "image/gif"' in done.stdout or '"media_type":"image/gif"' in done.stdout


def test_a_detached_job_prints_its_id_and_its_clip_is_fetched_later(compose, desk, service):
    (desk / "drive.gif").write_bytes(CLIP)
    done = compose("video", "drive.gif", "make the car red", "--detach", "--callback-url", "https://shop.example/done")
    (job_id,) = service.jobs
    assert (done.stdout, sent(service)[1]["callback_url"]) == (f"{job_id}\n", "https://shop.example/done"), done.stderr
    service.jobs[job_id]["status"] = "completed"
    assert "3 of 4 frames edited\nwarning: frame 3: not seen" in compose("jobs", "show", job_id).stdout
    fetched = compose("jobs", "video", job_id)
    assert (fetched.stdout, (desk / f"{job_id}.gif").read_bytes()) == (f"{job_id}.gif\n", EDITED)
    assert compose("jobs", "video", job_id).exit_code == 2
    refused = compose("video", "drive.gif", "make the car red", "--detach", "-o", "red.gif")
    assert (refused.exit_code, "--detach waits for no result" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("start", "suffix"),
    [
        (b"RIFF\0\0\0\0WEBP", ".webp"),
        (b"\x1aE\xdf\xa3\x9f", ".webm"),
        (b"\0\0\0\x20ftypisom", ".mp4"),
        (b"PK\x03\x04", ".zip"),
        (b"", ".bin"),
    ],
)
def test_a_clip_s_file_is_named_by_how_it_begins(start, suffix):
    assert suffix_of_clip(start) == suffix


@pytest.mark.parametrize("words", [("--box", "1,2,3,4"), ("--return-mask",), ("--output-format", "png")])
def test_the_command_has_no_options_of_photographs(compose, desk, service, words):
    (desk / "drive.gif").write_bytes(CLIP)
    done = compose("video", "drive.gif", "make the car red", *words)
    assert (done.exit_code, service.requests) == (2, [])
    assert "No such option" in done.stderr
