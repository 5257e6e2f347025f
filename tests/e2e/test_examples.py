"""The examples do what they say, with what a reader has: a service, a photo, and the client."""

from __future__ import annotations

import csv
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clients.python.tests.served import served
from clients.python.tests.service import Service
from tests.e2e.documents import ROOT
from tests.e2e.images import encoded, photo
from tests.e2e.test_client import environment, jobs_of

EXAMPLES = ROOT / "examples"
NODE_MAJOR = 20


def node() -> str:
    """Raises: Skipped where there is none that is new enough."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    if int(re.match(r"v(\d+)", version)[1]) < NODE_MAJOR:
        pytest.skip(f"node {version.strip()} is older than {NODE_MAJOR}")
    return found


def command(name: str) -> list[str]:
    if name.endswith(".py"):
        return [sys.executable, str(EXAMPLES / name)]
    if name.endswith(".mjs"):
        return [node(), str(EXAMPLES / name)]
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    return [str(EXAMPLES / name)]


@pytest.fixture
def desk(tmp_path) -> Path:
    (tmp_path / "my photo.png").write_bytes(encoded(photo(256, 256), "png"))
    return tmp_path


@pytest.fixture
def run(service_url, desk):
    def started(name: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command(name), *words], cwd=desk, env=environment(service_url), capture_output=True, text=True,
            check=False, timeout=600,
        )  # fmt: skip

    return started


SINGLE = ("edit.py", "edit.mjs", "edit.sh")


def test_every_example_is_run_here():
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == {*SINGLE, "shop.py", "README.md"}


@pytest.mark.parametrize("name", SINGLE)
def test_a_photo_is_edited(run, service_url, desk, name):
    prompt = 'a "red" hat'
    done = run(name, "my photo.png", prompt)
    assert (done.returncode, done.stdout) == (0, "my photo.edited.png\n"), done.stderr
    assert re.search(r"diffuse", done.stderr), "progress is said on stderr"
    with Image.open(desk / "my photo.edited.png") as edited:
        assert edited.size == (256, 256)
    assert sorted(path.name for path in desk.iterdir()) == ["my photo.edited.png", "my photo.png"]
    assert jobs_of(service_url, prompt)[0]["status"] == "completed"


@pytest.mark.parametrize("name", SINGLE)
def test_an_error_is_told_with_its_code(run, desk, name):
    (desk / "text.png").write_text("no image")
    done = run(name, "text.png", "a red hat")
    assert done.returncode == 1
    assert "UNPROCESSABLE_IMAGE" in done.stderr
    assert not (desk / "text.edited.png").exists()


@pytest.mark.parametrize("name", [*SINGLE, "shop.py"])
def test_without_arguments_each_says_how_it_is_used(run, name):
    done = run(name)
    assert done.returncode != 0
    assert "photo" in done.stderr.lower() or "people" in done.stderr


@pytest.mark.parametrize("name", ["edit.py", "edit.mjs"])
def test_ctrl_c_cancels(service_url, desk, name):
    prompt = f"interrupted {name}"
    process = subprocess.Popen(
        [*command(name), "my photo.png", prompt], cwd=desk, env=environment(service_url), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr.read(1), "it says how far its job is, so it knows of it"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=600)
    assert process.returncode != 0
    assert [job["status"] for job in jobs_of(service_url, prompt)] == ["cancelled"]


def test_the_shop_dresses_everybody_in_everything(run, service_url, desk):
    names = ("people/ann.png", "people/bob.png", "garments/red jacket.png", "garments/blue hat.png")
    for number, name in enumerate(names):
        path = desk / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(photo(256, 256 + 8 * number), "png"))
    words = ("shop.py", "shop/people", "shop/garments", "shop/out")
    done = run(*words)
    assert done.returncode == 0, done.stderr
    looks = list(csv.DictReader((desk / "shop/out/looks.csv").read_text().splitlines()))
    assert [(look["person"], look["garment"]) for look in looks] == [
        (person, garment) for person in ("ann.png", "bob.png") for garment in ("blue hat.png", "red jacket.png")
    ]
    page = (desk / "shop/out/looks.html").read_text()
    for look in looks:
        assert f'src="{look["image"]}"' in page
        assert np.asarray(Image.open(desk / "shop/out" / look["image"])).shape[0] == 256
    assert len(jobs_of(service_url, "person wearing this red jacket")) == 2
    (desk / "shop/out/bob in red jacket.png").unlink()
    assert run(*words).returncode == 0
    assert (desk / "shop/out/bob in red jacket.png").exists()
    assert len(jobs_of(service_url, "person wearing this red jacket")) == 2, "the job was still there under its key"


@pytest.mark.parametrize("name", SINGLE)
def test_every_request_carries_the_key(desk, name):
    stand_in = Service()
    with served(stand_in) as url:
        done = subprocess.run(
            [*command(name), "my photo.png", "x"], cwd=desk, env=environment(url, COMPOSE_API_KEY="secret-key"),
            capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(stand_in.requests) >= 3
    assert {request.headers["Authorization"] for request in stand_in.requests} == {"Bearer secret-key"}
    assert "secret-key" not in done.stdout + done.stderr
