"""One edit of a clip: what is sent, by both clients, and what comes back."""

from __future__ import annotations

import base64

import pytest
from composition_client import AsyncClient, Client, NotAnImage

from clients.python.tests.service import PIXEL, body_of

CLIP = b"GIF89a and what comes after it"
RESULT = {
    "video": base64.b64encode(b"the edited clip").decode(),
    "media_type": "image/gif",
    "pipeline_used": "simple",
    "models_used": ["sd-inpainting"],
    "processing_time_ms": 9,
    "metadata": {"frames": 4, "warnings": ["frame 3: not seen"]},
}


@pytest.fixture
def service(service):
    service.result = RESULT
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
        "response_format": "json",
        "config": {"seed": 3},
    }
    assert (video.video, video.media_type, video.warnings) == (b"the edited clip", "image/gif", ["frame 3: not seen"])
    video.save(tmp_path / "red.gif")
    assert (tmp_path / "red.gif").read_bytes() == b"the edited clip"


async def test_the_awaiting_client_sends_the_same_and_nothing_that_was_not_asked_for(service):
    async with AsyncClient("http://service", transport=service.transport) as client:
        await client.edit_video("https://example.com/drive.mp4", "make the car red")
    path, body = sent(service)
    assert (path, set(body)) == ("/api/v1/video", {"video", "prompt", "response_format"})


def test_a_large_clip_goes_as_the_part_of_a_form(service):
    with Client("http://service", transport=service.transport) as client:
        client.edit_video(CLIP * 50_000, "make the car red")
    (request,) = service.called("POST")
    assert request.url.path == "/api/v1/video"
    assert request.headers["content-type"].startswith("multipart/form-data")
    assert b'name="response_format"\r\n\r\njson' in request.content


def test_a_file_that_is_not_there_is_refused_before_anything_is_sent(service):
    with Client("http://service", transport=service.transport) as client, pytest.raises(NotAnImage):
        client.edit_video("no-such-clip.gif", "make the car red")
    assert service.requests == []


def test_the_command_edits_a_file_into_a_file_beside_it(compose, desk, service):
    (desk / "drive.gif").write_bytes(CLIP)
    done = compose("video", "drive.gif", "make the car red", "--as", "webp", "--seed", "3")
    assert done.exit_code == 0, done.stderr
    assert (done.stdout, (desk / "drive.edited.gif").read_bytes()) == ("drive.edited.gif\n", b"the edited clip")
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
    assert (done.exit_code, (desk / "red.gif").read_bytes()) == (0, b"the edited clip")
    assert '"media_type": "image/gif"' in done.stdout or '"media_type":"image/gif"' in done.stdout


@pytest.mark.parametrize("words", [("--box", "1,2,3,4"), ("--return-mask",), ("--output-format", "png")])
def test_the_command_has_no_options_of_photographs(compose, desk, service, words):
    (desk / "drive.gif").write_bytes(CLIP)
    done = compose("video", "drive.gif", "make the car red", *words)
    assert (done.exit_code, service.requests) == (2, [])
    assert "No such option" in done.stderr
