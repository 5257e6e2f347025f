"""One edit of several photographs of a thing: what is sent, by both clients, and what comes back."""

from __future__ import annotations

import base64
import json

import pytest
from composition_client import AsyncClient, Client, NotAnImage
from composition_client.command.report import in_words

from clients.python.tests.service import PIXEL, Life, body_of, refusal

URL = "https://example.com/side.jpg"


def sent(service) -> tuple[str, dict]:
    (request,) = service.called("POST")
    return request.url.path, body_of(request)


def test_photographs_go_in_their_order_as_files_and_urls(service):
    with Client("http://service", transport=service.transport) as client:
        edit = client.edit_views([PIXEL, URL], "make the car red", reference=PIXEL, negative_prompt="rust", seed=3)
    pixel = base64.b64encode(PIXEL).decode()
    path, body = sent(service)
    assert path == "/api/v1/views/async"
    assert body == {
        "base_images": [pixel, URL],
        "prompt": "make the car red",
        "reference_images": [pixel],
        "negative_prompt": "rust",
        "config": {"seed": 3},
    }
    assert edit.image == PIXEL


async def test_the_awaiting_client_sends_the_same_and_nothing_that_was_not_asked_for(service):
    async with AsyncClient("http://service", transport=service.transport) as client:
        await client.edit_views([URL, PIXEL], "make the car red")
    path, body = sent(service)
    assert (path, set(body)) == ("/api/v1/views/async", {"base_images", "prompt"})


def test_what_is_no_image_is_refused_before_anything_is_sent(service):
    with Client("http://service", transport=service.transport) as client, pytest.raises(NotAnImage):
        client.edit_views([PIXEL, "no-such-file.png"], "make the car red")
    assert service.requests == []


def test_large_photographs_go_as_files_and_the_same_is_asked_for(service):
    large = [b"a" * 2**20, b"b" * 9]
    with Client("http://service", transport=service.transport) as client:
        client.edit_views([large[0], URL, large[1]], "make the car red", reference=PIXEL, session="car", seed=3)
    (request,) = service.called("POST")
    assert request.headers["Content-Type"].startswith("multipart/form-data")
    parts = [part.partition(b"\r\n\r\n") for part in request.content.split(b"\r\n--")]
    named = [(head.partition(b'name="')[2].partition(b'"')[0].decode(), content) for head, _, content in parts[:-1]]
    assert named == [
        ("base_images", large[0]),
        ("base_images", URL.encode()),
        ("base_images", large[1]),
        ("reference_images", PIXEL),
        ("prompt", b"make the car red"),
        ("session", b"car"),
        ("config", b'{"seed":3}'),
    ]


async def test_views_can_be_left_to_the_service(service):
    with Client("http://service", transport=service.transport) as client:
        job_id = client.submit_views([PIXEL, URL], "make the car red", callback_url="https://shop.example/done")
    async with AsyncClient("http://service", transport=service.transport) as client:
        other = await client.submit_views([PIXEL, URL], "make the car red", seed=3)
    assert list(service.jobs) == [job_id, other]
    bodies = [body_of(request) for request in service.called("POST", "/views/async")]
    assert [body.get("callback_url") for body in bodies] == ["https://shop.example/done", None]
    assert [body.get("config") for body in bodies] == [None, {"seed": 3}]


VIEW = {"input_resolution": "640x480", "output_resolution": "640x480"}
METADATA = {
    "seed_used": 7,
    "seeds": [7, 7],
    "views": [{**VIEW, "region": [1, 2, 30, 40], "mask_area": 0.125}, {**VIEW, "region": None, "mask_area": 0.0}],
    "warnings": ["sharpen is without effect", "views.1: not done: no car was found"],
}


@pytest.fixture
def two(service, desk):
    """The service makes two images of what it is sent; two photographs lie on the desk."""
    (desk / "side.jpg").write_bytes(b"another side")
    plain = service._status
    made = {"images": [base64.b64encode(one).decode() for one in (b"one", b"two")], "metadata": METADATA}

    def status(job_id):
        job = plain(job_id)
        return job if job["result"] is None else {**job, "result": {**job["result"], **made}}

    service._status = status
    return ("views", "photo.jpg", "side.jpg", "make the car red")


def test_the_edited_photographs_lie_beside_theirs(compose, desk, service, two):
    done = compose(*two, "--seed", "7", "-r", URL)
    assert (done.exit_code, done.stdout) == (0, "photo.edited.png\nside.edited.png\n"), done.stderr
    assert [(desk / name).read_bytes() for name in done.stdout.split()] == [b"one", b"two"]
    path, body = sent(service)
    assert path == "/api/v1/views/async"
    assert [base64.b64decode(image) for image in body["base_images"]] == [b"a photo", b"another side"]
    assert (body["prompt"], body["reference_images"]) == ("make the car red", [URL])
    assert body["config"] == {"seed": 7, "output_format": "png"}
    lines = done.stderr.splitlines()
    assert lines[0].startswith("simple pipeline, seed 7, ")
    assert lines[1:] == [
        "views.0: at 1, 2, 30, 40, 12.5% of the image",
        "views.1: not done",
        "  warning: not done: no car was found",
        "warning: sharpen is without effect",
    ]


def test_a_folder_a_format_and_an_account_in_json(compose, desk, two):
    done = compose(*two, "-o", "out", "--output-format", "webp", "--json", "--timeout", "5")
    told = json.loads(done.stdout)
    assert (told["photos"], told["outputs"]) == (
        ["photo.jpg", "side.jpg"],
        ["out/photo.edited.webp", "out/side.edited.webp"],
    )
    assert [view["region"] for view in told["views"]] == [[1, 2, 30, 40], None]
    assert (desk / "out" / "side.edited.webp").read_bytes() == b"two"


def test_a_detached_job_prints_its_id_and_is_shown_later(compose, service, two):
    done = compose(*two, "--detach", "--callback-url", "https://shop.example/done")
    (job_id,) = service.jobs
    assert (done.stdout, sent(service)[1]["callback_url"]) == (f"{job_id}\n", "https://shop.example/done")
    service.jobs[job_id]["status"] = "completed"
    assert "views.1: not done\n  warning: not done: no car was found" in compose("jobs", "show", job_id).stdout
    (line,) = compose("jobs", "show", job_id, "--json").stdout.splitlines()
    assert not {"image", "images"} & json.loads(line)["result"].keys()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["photo.jpg", "side.jpg"], "2 to 8 photos and a PROMPT are needed; these are 1 before 'side.jpg'"),
        (["photo.jpg"] * 9 + ["x"], "these are 9 before 'x'"),
        (["photo.jpg", "gone.jpg", "x"], "gone.jpg: there is no such file"),
        (["photo.jpg", "photo.jpg", "x"], "several images would be written to"),
        (["photo.jpg", "side.jpg", "x", "--detach", "-o", "out"], "--detach waits for no result"),
        (["photo.jpg", "side.jpg", "x", "--callback-url", "http://a"], "--callback-url is for --detach"),
        (["photo.jpg", "side.jpg", "x", "--box", "1,2,3,4"], "No such option"),
        (["photo.jpg", "side.jpg", "x", "-m", "photo.jpg"], "No such option"),
    ],
)
def test_wrong_usage_is_exit_status_2_before_anything_is_sent(compose, service, two, words, said):
    done = compose("views", *words)
    assert (done.exit_code, said in " ".join(done.stderr.replace("│", " ").split())) == (2, True), done.stderr
    assert service.requests == []


def test_what_is_there_is_not_overwritten_unless_forced(compose, desk, service, two):
    (desk / "side.edited.png").write_bytes(b"mine")
    assert compose(*two).exit_code == 2
    assert (service.requests, (desk / "side.edited.png").read_bytes()) == ([], b"mine")
    assert compose(*two, "--force").exit_code == 0
    assert (desk / "side.edited.png").read_bytes() == b"two"


def test_the_exit_status_says_what_went_wrong(compose, desk, service, two):
    service.life = Life(end="failed", error=("NO_DETECTION", "no view shows a car"))
    failed = compose(*two)
    assert (failed.exit_code, failed.stderr) == (1, "compose: NO_DETECTION: no view shows a car\n")
    service.before = lambda request: refusal(400, "INVALID_INPUT", "3 views take 6 rows")
    assert compose(*two).exit_code == 2
    assert sorted(path.name for path in desk.iterdir()) == ["photo.jpg", "side.jpg"]


def test_a_single_edit_has_no_views(service):
    with Client("http://service", transport=service.transport) as client:
        edit = client.edit(PIXEL, "blue car")
    assert edit.views == []
    assert not [line for line in in_words(edit) if line.startswith("views")]
