"""The client's command line and a service with keys."""

from __future__ import annotations

import io
import subprocess

import pytest
from composition_client import Client, Unauthorized
from PIL import Image

from tests.e2e.conftest import KEYS
from tests.e2e.images import encoded, photo
from tests.e2e.test_client import COMPOSE, QUICK, environment

KEY = KEYS["client"]


def test_the_key_comes_from_the_environment_and_shows_up_nowhere(keyed_url, tmp_path):
    (tmp_path / "photo.png").write_bytes(encoded(photo(256, 256), "png"))

    def run(**variables: str) -> subprocess.CompletedProcess[str]:
        command = [*COMPOSE, "edit", "photo.png", "x", "-o", "-", *QUICK, "--progress"]
        variables = environment(keyed_url, **variables)
        return subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, check=False, timeout=600)

    without = run()
    assert (without.returncode, b"UNAUTHORIZED" in without.stderr) == (4, True)
    wrong = run(COMPOSE_API_KEY="another")
    assert wrong.returncode == 4
    right = run(COMPOSE_API_KEY=KEY)
    assert right.returncode == 0, right.stderr
    assert Image.open(io.BytesIO(right.stdout)).size == (256, 256)
    assert KEY.encode() not in without.stderr + wrong.stderr + right.stderr + right.stdout
    with Client(keyed_url) as client, pytest.raises(Unauthorized):
        client.jobs()
