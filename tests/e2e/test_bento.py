"""A Bento as it is shipped: built, exported, unpacked as in an image; served, it keeps nothing of a job inside."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.chaos_targets import wait_until_it_answers
from benchmarks.server import ROOT, free_port
from tests.e2e.images import encoded, photo

BENTOML = (sys.executable, "-m", "bentoml")


@pytest.fixture(scope="module")
def bento(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with the tiny models, which are not the default's."""
    home = tmp_path_factory.mktemp("home")
    environment = {**os.environ, "COMPOSITION_MODELS__PROFILE": "tiny"}
    subprocess.run([*BENTOML, "build", "--version", "e2e"], cwd=ROOT, env=environment, check=True)
    try:
        archive = home / "composition.bento"
        subprocess.run([*BENTOML, "export", "image-composition:e2e", str(archive)], env=environment, check=True)
    finally:
        subprocess.run([*BENTOML, "delete", "-y", "image-composition:e2e"], env=environment, check=True)
    with tarfile.open(archive) as file:
        file.extractall(home / "bento", filter="data")
    return home / "bento"


@pytest.fixture
def environment(bento: Path) -> dict[str, str]:
    """Of BentoML's Dockerfile, without anything of ours."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(bento.parent),
        "BENTO_PATH": str(bento),
        "BENTOML_HOME": f"{bento.parent}/",
        "BENTOML_CONTAINERIZED": "true",
        "BENTOML_DO_NOT_TRACK": "True",
        "HF_HUB_OFFLINE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@pytest.fixture
def url(bento: Path, environment: dict[str, str]) -> Iterator[str]:
    port = free_port()
    command = [*BENTOML, "serve", str(bento), "--host", "127.0.0.1", "--port", str(port)]
    log = bento.parent / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=bento, env=environment, stdout=output, stderr=output)
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(600)


def everything_in(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_bento_serves_its_own_models_and_keeps_nothing_of_a_request(bento: Path, url: str) -> None:
    before = everything_in(bento)
    image = base64.b64encode(encoded(photo(256, 256), "png")).decode()
    body = {"base_image": image, "prompt": "blue car", "config": {"num_inference_steps": 2}}
    with httpx.Client(base_url=url, timeout=600) as client:
        assert client.post("/api/v1/generate", json=body).status_code == 200
        job = client.post("/api/v1/generate/async", json=body).json()["job_id"]
        task = client.post("/compose_task/submit", json={"request": body})
        assert (client.get(f"/api/v1/status/{job}").status_code, task.status_code) == (200, 200)
    assert everything_in(bento) == before
    state = bento.parent / ".local" / "state" / "image-composition"
    assert {"jobs.sqlite3", "blobs", "tasks.sqlite3"} <= {path.name for path in state.iterdir()}
    assert state.stat().st_mode & 0o777 == 0o700


def test_another_profile_than_the_packed_one_is_refused_in_one_line(bento: Path, environment: dict[str, str]) -> None:
    environment["COMPOSITION_MODELS__PROFILE"] = "demo"
    served = subprocess.run(
        [*BENTOML, "serve", str(bento)], env=environment, capture_output=True, text=True, timeout=600
    )
    assert served.returncode == 2
    assert served.stderr.splitlines()[-1].startswith("error: models.profile: this Bento holds the models of tiny")
    assert "Traceback" not in served.stderr
