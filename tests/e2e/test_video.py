"""A clip is edited by a served instance: as JSON and as a form, and by one that is killed in the middle."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import closing

import numpy as np
import pytest
from PIL import Image, ImageSequence

from benchmarks.server import Server, free_port
from tests.e2e.black_box.client import Client, parse_events
from tests.e2e.images import b64, photo

FRAMES, SIZE = 10, (288, 256)
PROMPT, CONFIG = "add a plant in the lower right corner", {"seed": 7, "num_inference_steps": 6}
RIM_PX = 48
"""The feather around the region; the picture hardly moves, and the region with it."""


def drive() -> bytes:
    """A GIF: a photograph along which a dark square goes, at the left edge."""
    frames = []
    for number in range(FRAMES):
        picture = photo(SIZE[1], SIZE[0])
        picture.paste((20, 20, 90), (10, 20 + 6 * number, 40, 50 + 6 * number))
        frames.append(picture.quantize(200))
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=80, loop=0)
    return out.getvalue()


CLIP = drive()


def frames_of(file: bytes) -> list[np.ndarray]:
    """Its frames (H, W, 3), as Pillow shows them."""
    return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(Image.open(io.BytesIO(file)))]


def changed_beside(region: list[int], made: list[np.ndarray]) -> list[int]:
    """Of each frame how many pixels differ from the clip's, away from the region."""
    left, top, right, bottom = region
    away = np.ones((SIZE[1], SIZE[0]), bool)
    away[max(0, top - RIM_PX) : bottom + RIM_PX, max(0, left - RIM_PX) : right + RIM_PX] = False
    assert away.any()
    return [int((was != now)[away].any(axis=1).sum()) for was, now in zip(frames_of(CLIP), made, strict=True)]


def submitted(client: Client, **sent) -> str:
    answer = client.http.post("/api/v1/video", **sent)
    assert answer.status_code == 200, answer.text
    return answer.json()["job_id"]


def as_json() -> dict:
    return {"video": b64(CLIP), "prompt": PROMPT, "output": "webp", "config": CONFIG}


@pytest.fixture(scope="module")
def client(service_url):
    opened = Client(service_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def webp(client) -> tuple[dict, bytes]:
    """The result of the clip as JSON, and its file."""
    job_id = submitted(client, json=as_json())
    job = client.wait(job_id)
    assert (job["status"], job["error"]) == ("completed", None)
    answer = client.http.get(job["result"]["video_url"])
    assert answer.headers["content-type"] == job["result"]["media_type"] == "image/webp"
    return job["result"], answer.content


def test_beside_its_region_every_frame_is_as_it_was(webp):
    result, file = webp
    told, made = result["metadata"], frames_of(file)
    assert (told["frames"], told["frames_edited"], told["shots"]) == (FRAMES, FRAMES, [0])
    assert changed_beside(told["region"], made) == [0] * FRAMES
    left, top, right, bottom = told["region"]
    for was, now in zip(frames_of(CLIP), made, strict=True):
        assert (was != now)[top:bottom, left:right].any(axis=2).mean() > 0.5


def test_a_form_has_the_same_made_into_the_file_that_it_asks_for(client, webp):
    texts = {"prompt": PROMPT, "output": "png_sequence", "config": json.dumps(CONFIG)}
    job_id = submitted(client, files={"video": ("drive.gif", CLIP)}, data=texts)
    assert client.wait(job_id)["status"] == "completed"
    with zipfile.ZipFile(io.BytesIO(client.http.get(f"/api/v1/jobs/{job_id}/video").content)) as archive:
        made = [np.asarray(Image.open(archive.open(f"{number:05}.png"))) for number in range(FRAMES)]
        assert json.loads(archive.read("times.json")) == [[80_000 * number, 80_000] for number in range(FRAMES)]
    assert all(np.array_equal(one, other) for one, other in zip(made, frames_of(webp[1]), strict=True))


def test_what_is_no_clip_is_refused_when_it_is_sent(client):
    before = client.jobs()["jobs"]
    answer = client.http.post("/api/v1/video", json={**as_json(), "video": b64(CLIP[: len(CLIP) // 2])})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "UNPROCESSABLE_IMAGE")
    assert client.jobs()["jobs"] == before


def test_killed_in_the_middle_it_goes_on_after_the_last_finished_frame(tmp_path, webp):
    instance = {"port": free_port(), "log": tmp_path / "serve.log"}
    with Server(**instance) as server:
        server.wait_until_healthy()
        with closing(Client(server.url)) as client:
            job_id = submitted(client, json=as_json())
            finished = until_finished(client, job_id, 4)
            server.kill()
    with Server(**instance) as server:
        server.wait_until_healthy()
        with closing(Client(server.url)) as client:
            job = client.wait(job_id)
            assert (job["status"], job["attempt"]) == ("completed", 2)
            told = [event.data for event in client.events(job_id) if event.type == "progress"]
            file = client.http.get(job["result"]["video_url"]).content
    steps = [one["step"] for one in told if one["attempt"] == 2 and one["step"] is not None]
    assert min(steps) >= finished
    made = frames_of(file)
    assert changed_beside(webp[0]["metadata"]["region"], made) == [0] * FRAMES
    assert all(np.array_equal(one, other) for one, other in zip(made, frames_of(webp[1]), strict=True))


def until_finished(client: Client, job_id: str, frames: int) -> int:
    """Wait until so many frames are; how many there are then, by what the service has told."""
    with client.http.stream("GET", f"/api/v1/jobs/{job_id}/events") as answer:
        for event in parse_events(answer.iter_lines()):
            if (event.data.get("step") or 0) >= frames and event.data.get("total_steps") == FRAMES:
                return event.data["step"]
    raise AssertionError("the job ended before it was killed")
