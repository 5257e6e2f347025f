from __future__ import annotations

import json
from pathlib import Path

import bentoml
import pytest

from composition.errors import NotReady
from runners.failures import last_failure
from runners.health import RunnersHealth
from runners.refusal import refusing_to_start


class Runner:
    """Attributes: `process`, None while it is away."""

    def __init__(self, process: int | None) -> None:
        self.process = process

    async def state(self) -> dict[str, object]:
        if self.process is None:
            raise NotReady("away")
        return {"process": self.process, "models_loaded": [f"model of {self.process}"]}


async def test_a_runner_that_comes_back_as_another_process_was_started_again():
    still, died = Runner(1), Runner(2)
    health = RunnersHealth({"analyzer": still.state, "diffusion": died.state}, last_failure={"diffusion": "Bang"}.get)
    first = await health.health()
    assert (first["ready"], first["models_loaded"]) == (True, ["model of 1", "model of 2"])
    died.process = None
    away = await health.health()
    assert away["ready"] is False
    assert away["runners"] == {
        "analyzer": {"ready": True, "restarts": 0, "failure": None},
        "diffusion": {"ready": False, "restarts": 0, "failure": "Bang"},
    }
    died.process = 3
    await health.health()
    again = await health.health()
    assert again["runners"]["diffusion"] == {"ready": True, "restarts": 1, "failure": None}


def test_a_runner_that_does_not_start_leaves_a_note_without_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BENTOML_RUNNER_MAP", json.dumps({"analyzer-runner": f"file://{tmp_path}/1.sock"}))
    monkeypatch.setattr(bentoml.server_context, "service_name", "analyzer-runner")
    assert last_failure("analyzer") is None
    with pytest.raises(ValueError, match="secret"), refusing_to_start():
        raise ValueError("a secret")
    assert (last_failure("analyzer"), last_failure("detector")) == ("ValueError", None)
