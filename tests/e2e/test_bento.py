"""A Bento as it is shipped: built, exported, unpacked as in an image; served, it keeps nothing of a job inside.

`make bento-test` is the long form: served from the store and, exported, from another one, it paints the same bytes.
"""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks import packing
from tests.e2e.images import encoded, photo

MARK = "unmistakable7c1e"


@pytest.fixture(scope="module")
def bento(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with the tiny models, which are not the default's."""
    home = tmp_path_factory.mktemp("home")
    tag = packing.build_bento("tiny", "e2e")
    try:
        packing.export_bento(tag, home / "composition.bento")
    finally:
        packing.delete_bento(tag)
    return packing.unpack_bento(home / "composition.bento", home / "bento")


@pytest.fixture
def environment(bento: Path) -> dict[str, str]:
    return packing.environment_of_an_image(bento, home=bento.parent)


@pytest.fixture
def url(bento: Path, environment: dict[str, str]) -> Iterator[str]:
    log = bento.parent / "serve.log"
    with packing.ServedBento(str(bento), environment=environment, cwd=bento, log=log) as served:
        yield served.url


def everything_in(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def edit(client: httpx.Client, url: str, body: dict[str, Any]) -> str:
    answer = client.post(f"{url}/api/v1/generate", json=body)
    assert answer.status_code == 200, answer.text
    image: str = answer.json()["result"]["image"]
    return image


def test_a_bento_serves_its_own_models_and_keeps_nothing_of_a_request(bento: Path, url: str) -> None:
    before = everything_in(bento)
    image = encoded(photo(256, 256), "png")
    body = {
        "base_image": base64.b64encode(image).decode(),
        "prompt": "blue car",
        "negative_prompt": MARK,
        "config": {"num_inference_steps": 2, "seed": 7},
    }
    with httpx.Client(timeout=600) as client:
        painted = edit(client, url, body)
        assert painted == edit(client, url, body)
        assert painted != edit(client, url, {**body, "config": {"num_inference_steps": 2, "seed": 8}})
        job = client.post(f"{url}/api/v1/generate/async", json=body).json()["job_id"]
        task = client.post(f"{url}/compose_task/submit", json={"request": body})
        assert (client.get(f"{url}/api/v1/status/{job}").status_code, task.status_code) == (200, 200)
    assert everything_in(bento) == before
    state = bento.parent / ".local" / "state" / "image-composition"
    assert {"jobs.sqlite3", "blobs", "tasks.sqlite3"} <= {path.name for path in state.iterdir()}
    assert state.stat().st_mode & 0o777 == 0o700
    assert packing.files_that_hold(bento, [MARK.encode(), image[2000:2200]]) == []
    assert packing.files_that_hold(state, [MARK.encode()]) != []  # so it would have been found


def test_a_bento_has_no_code_that_trains_measures_or_checks(bento: Path) -> None:
    assert packing.packed_development_files(bento) == []
    assert packing.profile_of(bento) == "tiny"


def test_another_profile_than_the_packed_one_is_refused_in_one_line(bento: Path, environment: dict[str, str]) -> None:
    environment["COMPOSITION_MODELS__PROFILE"] = "demo"
    served = subprocess.run(
        [*packing.BENTOML, "serve", str(bento)], env=environment, capture_output=True, text=True, timeout=600
    )
    assert served.returncode == 2
    assert served.stderr.splitlines()[-1].startswith("error: models.profile: this Bento holds the models of tiny")
    assert "Traceback" not in served.stderr
