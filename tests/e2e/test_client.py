"""The Python client and its command line against a served profile, each command in a process of its own."""

from __future__ import annotations

import base64
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from composition_client import AsyncClient, Cancelled, Client, IdempotencyConflict, InvalidInput, NotFound
from PIL import Image

from benchmarks.server import free_port
from tests.e2e.black_box.client import eventually
from tests.e2e.documents import ROOT
from tests.e2e.images import corner_mask, encoded, photo

COMPOSE = [sys.executable, "-m", "composition_client"]
QUICK, SLOW = ("--num-inference-steps", "1"), ("--num-inference-steps", "100")


def environment(url: str, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
    return {**kept, "PYTHONPATH": str(ROOT / "clients/python/src"), "COMPOSE_URL": url, "NO_COLOR": "1", **variables}


@pytest.fixture
def desk(tmp_path) -> Path:
    (tmp_path / "photo.png").write_bytes(encoded(photo(256, 256), "png"))
    (tmp_path / "mask.png").write_bytes(corner_mask(256, 256))
    return tmp_path


@pytest.fixture
def compose(service_url, desk):
    def run(*words: str, stdin: bytes | None = None, **variables: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*COMPOSE, *words], cwd=desk, env=environment(service_url, **variables), input=stdin, capture_output=True,
            timeout=600, check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def start(service_url, desk) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def run(*words: str) -> subprocess.Popen[bytes]:
        started.append(
            subprocess.Popen(
                [*COMPOSE, *words],
                cwd=desk,
                env=environment(service_url),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def jobs_of(url: str, prompt: str) -> list[dict]:
    # Plain HTTP: to read the certificates would take longer than to ask.
    page = httpx.get(f"{url}/api/v1/jobs", params={"limit": 100}, timeout=600, verify=False).json()  # noqa: S501
    return [job for job in page["jobs"] if job["prompt"] == prompt]


def test_an_edit_has_the_bytes_of_the_same_rest_call(service_url, compose, desk):
    config = {"seed": 7, "num_inference_steps": 2}
    body = {
        "prompt": "a red hat",
        "base_image": base64.b64encode((desk / "photo.png").read_bytes()).decode(),
        "mask_image": base64.b64encode((desk / "mask.png").read_bytes()).decode(),
        "config": config,
    }
    answer = httpx.post(f"{service_url}/api/v1/generate", json=body, timeout=600).json()["result"]
    expected = base64.b64decode(answer["image"])
    words = ("a red hat", "-m", "mask.png", "--seed", "7", "--num-inference-steps", "2")
    done = compose("edit", "photo.png", *words)
    assert (done.returncode, done.stdout) == (0, b"photo.edited.png\n"), done.stderr
    assert (desk / "photo.edited.png").read_bytes() == expected
    piped = compose("edit", "-", *words, stdin=(desk / "photo.png").read_bytes())
    assert (piped.returncode, piped.stdout) == (0, expected), piped.stderr
    with Client(service_url) as client:
        pixels = np.asarray(Image.open(desk / "photo.png"))
        mask = np.asarray(Image.open(desk / "mask.png")) > 127
        edit = client.edit(pixels, "a red hat", mask=mask, **config)
        assert edit.image == expected
        assert client.image(edit.job_id) == expected
        untouched = mask == 0
        untouched[100:, 100:] = False
        assert np.array_equal(edit.array()[untouched], pixels[untouched])


def test_a_terminal_shows_live_progress(service_url, desk):
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*COMPOSE, "edit", "photo.png", "a red hat", *SLOW[:1], "20"], cwd=desk,
        env=environment(service_url, TERM="xterm", COLUMNS="100"), stdout=subprocess.PIPE, stderr=follower,
    )  # fmt: skip
    os.close(follower)
    said = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the other side is closed
            break
        said += part
    process.communicate()
    os.close(leader)
    assert process.returncode == 0
    percents = [int(text) for text in re.findall(rb"(\d+)%", said)]
    assert len(set(percents)) >= 4
    assert percents == sorted(percents)
    assert re.search(rb"photo.png: diffuse \d+/\d+", said)


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_edit_is_cancelled(service_url, start, desk, sent, status):
    prompt = f"interrupted by {sent.name}"
    process = start("edit", "photo.png", prompt, *SLOW, "--progress")
    eventually(lambda: any(job["status"] == "processing" for job in jobs_of(service_url, prompt)))
    process.send_signal(sent)
    process.communicate(timeout=600)
    assert process.returncode == status
    assert [job["status"] for job in jobs_of(service_url, prompt)] == ["cancelled"]
    assert sorted(path.name for path in desk.iterdir()) == ["mask.png", "photo.png"]


def make_shop(desk: Path, count: int) -> None:
    (desk / "shop").mkdir()
    for number in range(count):
        (desk / "shop" / f"{number}.png").write_bytes(encoded(photo(256, 256 + 8 * number), "png"))


def test_a_batch_that_is_killed_goes_on_and_makes_no_job_twice(service_url, start, compose, desk):
    make_shop(desk, 5)
    words = ("batch", "shop", "killed batch", "--num-inference-steps", "10", "--seed", "3", "-j", "2")
    process = start(*words)
    eventually(lambda: list((desk / "shop.edited").glob("*.png")))
    process.kill()
    process.communicate()
    done_before = len(list((desk / "shop.edited").glob("*.png")))
    assert 1 <= done_before < 5
    resumed = compose(*words)
    assert resumed.returncode == 0, resumed.stderr
    assert re.search(rb"(\d) edited, (\d) done before, 0 failed", resumed.stderr)
    assert sorted(path.name for path in (desk / "shop.edited").glob("*.png")) == [f"{n}.png" for n in range(5)]
    assert [job["status"] for job in jobs_of(service_url, "killed batch")] == ["completed"] * 5
    assert compose(*words).stderr.endswith(b"0 edited, 5 done before, 0 failed\n")


def test_an_interrupted_batch_leaves_nothing_running_and_goes_on(service_url, start, compose, desk):
    make_shop(desk, 4)
    words = ("batch", "shop", "interrupted batch", "--num-inference-steps", "30", "-j", "2")
    process = start(*words)
    eventually(lambda: len(jobs_of(service_url, "interrupted batch")) >= 2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=600)
    assert process.returncode == 130
    states = {job["status"] for job in jobs_of(service_url, "interrupted batch")}
    assert states <= {"cancelled", "completed"}
    assert "cancelled" in states
    resumed = compose(*words)
    assert resumed.returncode == 0, resumed.stderr
    assert len(list((desk / "shop.edited").glob("*.png"))) == 4


def test_the_exit_status_says_what_went_wrong(service_url, compose, desk):
    (desk / "text.jpg").write_text("no image")
    assert compose("edit", "text.jpg", "x").returncode == 1
    assert compose("edit", "photo.png", "x", "--strength", "7").returncode == 2
    assert compose("edit", "photo.png", "x", "--url", f"http://127.0.0.1:{free_port()}").returncode == 3
    out_of_time = compose("edit", "photo.png", "out of time", *SLOW, "--timeout", "1")
    assert out_of_time.returncode == 5, out_of_time.stderr
    assert [job["status"] for job in jobs_of(service_url, "out of time")] == ["cancelled"]


def test_jobs_are_listed_shown_and_cancelled(service_url, compose, desk):
    job_id = compose("edit", "photo.png", "a detached edit", *SLOW, "--detach").stdout.decode().strip()
    listed = [json.loads(line) for line in compose("jobs", "list", "--json", "--limit", "100").stdout.splitlines()]
    assert job_id in {job["job_id"] for job in listed}
    assert compose("jobs", "cancel", job_id).stdout.startswith(b"cancelled")
    assert json.loads(compose("jobs", "show", job_id, "--json").stdout)["status"] == "cancelled"
    assert compose("jobs", "image", job_id).returncode == 1
    with Client(service_url) as client, pytest.raises(Cancelled):
        client.wait(job_id)


def test_an_analysis_writes_the_mask_of_the_edit(compose, desk):
    analyzed = compose("analyze", "photo.png", "a red hat", "--show", "-m", "mask.png")
    assert analyzed.returncode == 0, analyzed.stderr
    assert b"pipeline, rule " in analyzed.stdout
    edited = compose("edit", "photo.png", "a red hat", "-m", "mask.png", "--return-mask", *QUICK)
    assert edited.returncode == 0, edited.stderr
    shown, used = (np.asarray(Image.open(desk / f"photo.{part}.png")) for part in ("mask", "edited.mask"))
    assert np.array_equal(shown, used)
    overlay, before = (np.asarray(Image.open(desk / f"photo{part}.png")).astype(int) for part in (".overlay", ""))
    assert np.array_equal(overlay[shown < 2], before[shown < 2])
    assert (overlay[shown == 255, 0] >= 127).all()


def test_the_check_finds_the_served_profile(compose):
    report = json.loads(compose("serve-check", "--json").stdout)
    assert (report["ready"], report["profile"], report["key_accepted"]) == (True, "tiny", True)
    assert report["edit"]["job_id"]


async def test_the_awaiting_client_edits_several_at_once(service_url, desk):
    async with AsyncClient(service_url) as client:
        job_ids = [await client.submit(desk / "photo.png", "at once", num_inference_steps=2, seed=n) for n in (1, 2)]
        edits = [await client.wait(job_id) for job_id in job_ids]
        assert [edit.seed for edit in edits] == [1, 2]
        assert edits[0].image != edits[1].image
        assert {job.job_id async for job in client.every_job()} >= set(job_ids)


def test_a_key_that_is_used_again_is_the_same_job_and_no_other_request(service_url, desk):
    with Client(service_url) as client:
        first = client.edit(desk / "photo.png", "once", num_inference_steps=1, idempotency_key="e2e-once")
        again = client.edit(desk / "photo.png", "once", num_inference_steps=1, idempotency_key="e2e-once")
        assert (again.job_id, again.image) == (first.job_id, first.image)
        with pytest.raises(IdempotencyConflict):
            client.edit(desk / "photo.png", "twice", idempotency_key="e2e-once")
        with pytest.raises(InvalidInput, match=r"config\.sed: is not a known field"):
            client.edit(desk / "photo.png", "once", **{"sed": 7})
        with pytest.raises(NotFound):
            client.job("2f4c7b0e-8d3a-4a58-9a2e-5d0c6f2b1e77")


def test_the_several_candidates_are_those_of_their_seeds(service_url, compose, desk):
    done = compose("edit", "photo.png", "a red hat", "-n", "2", "--seed", "5", *QUICK)
    assert done.stdout == b"photo.edited.1.png\nphoto.edited.2.png\n", done.stderr
    second = compose("edit", "photo.png", "a red hat", "--seed", "6", *QUICK, "-o", "-")
    alone, among = (
        np.asarray(Image.open(io.BytesIO(data))) for data in (second.stdout, (desk / "photo.edited.2.png").read_bytes())
    )
    assert np.abs(alone.astype(int) - among).mean() < 1
