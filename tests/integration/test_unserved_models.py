"""A base model that no family serves stops the servers before they start a worker: one line, exit status 2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from models_store.pipelines import FAMILIES

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).parents[2]
SERVERS = {
    "front": ["bentoml", "serve", "service:ImageComposition", "--port", "0"],
    "worker": ["celery", "-A", "worker", "worker", "--pool", "threads"],
}


@pytest.mark.parametrize("server", SERVERS)
def test_the_server_says_in_one_line_what_it_was_given_and_what_it_serves(tmp_path, server):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "FluxInpaintPipeline"}))
    settings = {"PROFILE": "tiny", "BASE_MODEL": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-m", *SERVERS[server]],
        cwd=REPOSITORY,
        env={
            **os.environ,
            **{f"COMPOSITION_MODELS__{key}": value for key, value in settings.items()},
            "COMPOSITION_QUEUE__BACKEND": "celery" if server == "worker" else "embedded",
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.splitlines() == [
        f"error: models.base_model: {tmp_path} is a FluxInpaintPipeline; served: {', '.join(sorted(FAMILIES))}"
    ]
