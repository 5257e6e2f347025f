from __future__ import annotations

import json
from pathlib import Path

import bentoml
import pytest

from composition.errors import NotReady
from runners.failures import KILLED, last_failure, note_start, note_success, restarts_of
from runners.health import RunnersHealth
from runners.refusal import refusing_to_start


class Runner:
    """Attributes: `there`, whether it answers."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.there = True

    async def state(self) -> dict[str, object]:
        if not self.there:
            raise NotReady("away")
        return {"models_loaded": [f"model of {self.name}"]}


async def test_a_runner_that_is_away_says_what_kept_it_from_starting():
    still, died = Runner("analyzer"), Runner("diffusion")
    health = RunnersHealth(
        {"analyzer": still.state, "diffusion": died.state},
        restarts={"analyzer": 0, "diffusion": 2}.__getitem__,
        last_failure={"diffusion": "Bang"}.get,
    )
    first = await health.health()
    assert (first["ready"], first["models_loaded"]) == (True, ["model of analyzer", "model of diffusion"])
    assert first["runners"]["diffusion"] == {"ready": True, "restarts": 2, "failure": None}
    died.there = False
    away = await health.health()
    assert away["ready"] is False
    assert away["runners"] == {
        "analyzer": {"ready": True, "restarts": 0, "failure": None},
        "diffusion": {"ready": False, "restarts": 2, "failure": "Bang"},
    }


@pytest.fixture
def analyzer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is the analyzer's runner."""
    monkeypatch.setenv("BENTOML_RUNNER_MAP", json.dumps({"analyzer-runner": f"file://{tmp_path}/1.sock"}))
    monkeypatch.setattr(bentoml.server_context, "service_name", "analyzer-runner")


@pytest.mark.usefixtures("analyzer")
def test_a_runner_that_does_not_start_leaves_a_note_without_its_words():
    assert last_failure("analyzer") is None
    with pytest.raises(ValueError, match="secret"), refusing_to_start():
        raise ValueError("a secret")
    assert (last_failure("analyzer"), last_failure("detector")) == ("ValueError", None)
    with refusing_to_start():
        pass
    assert last_failure("analyzer") is None


@pytest.mark.usefixtures("analyzer")
def test_every_start_counts_whether_anybody_looked_or_not():
    assert restarts_of("analyzer") == 0
    for _ in range(3):
        with refusing_to_start():
            pass
    with pytest.raises(ValueError, match="x"), refusing_to_start():
        raise ValueError("x")
    assert (restarts_of("analyzer"), restarts_of("detector")) == (3, 0)


@pytest.mark.usefixtures("analyzer")
def test_a_runner_that_was_killed_while_it_started_is_told_from_one_that_still_starts():
    note_start()
    assert last_failure("analyzer") is None
    note_start()
    assert last_failure("analyzer") == KILLED
    note_success()
    assert last_failure("analyzer") is None
