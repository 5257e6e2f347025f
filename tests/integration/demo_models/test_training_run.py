"""A run that is killed and resumed takes the same steps as one that was not."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from demo_models.recipes.training import Progress, Settings, TrainingRun  # noqa: E402


class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, x, y):
        return {"loss": (self.layer(x) - y).square().mean()}


class LineRecipe:
    name = "line"
    settings = Settings(minutes=1, batch=4, learning_rate=1e-2, warmup_steps=1, bf16=False, save_every_s=0)

    def __init__(self, die_at: int | None = None) -> None:
        self.die_at, self.batches = die_at, 0

    def build(self):
        return Line()

    def batch(self, rng: np.random.Generator) -> Mapping[str, torch.Tensor]:
        self.batches += 1
        if self.batches == self.die_at:
            raise KeyboardInterrupt
        x = torch.from_numpy(rng.normal(size=(4, 2))).float()
        return {"x": x, "y": x.sum(1, keepdim=True)}

    def score(self, module) -> dict[str, float]:
        return {"weight": float(module.layer.weight.sum())}

    def save(self, module, folder: Path) -> None:
        torch.save(module.state_dict(), folder / "line.pt")


@pytest.fixture(autouse=True)
def work_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DEMO_WORKDIR", str(tmp_path))
    return tmp_path


class StepClock(TrainingRun):
    """Counts steps as time: a minute is 60 of them."""

    def _learning_rate(self) -> float:
        self.progress.seconds = float(self.progress.step)
        return 1e-2


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "weights" / "line" / "line.pt")


def test_a_killed_run_resumes_where_it_was(work_folder, tmp_path_factory, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        StepClock(recipe=LineRecipe(die_at=8), minutes=0.2).train()
    resumed = LineRecipe()
    assert StepClock(recipe=resumed, minutes=0.2).train()
    assert resumed.batches <= 7
    other = tmp_path_factory.mktemp("undisturbed")
    monkeypatch.setenv("DEMO_WORKDIR", str(other))
    assert StepClock(recipe=LineRecipe(), minutes=0.2).train()
    first, second = weights(work_folder), weights(other)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_batches_that_other_processes_draw_are_those_of_their_steps(work_folder, tmp_path_factory, monkeypatch):
    assert StepClock(recipe=LineRecipe(), minutes=0.2).train()
    other = tmp_path_factory.mktemp("beside")
    monkeypatch.setenv("DEMO_WORKDIR", str(other))
    beside = LineRecipe()
    with pytest.raises(KeyboardInterrupt):
        StepClock(recipe=LineRecipe(die_at=8), minutes=0.2).train()
    assert StepClock(recipe=beside, minutes=0.2, drawing=2).train()
    assert beside.batches == 0
    first, second = weights(work_folder), weights(other)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_without_a_judgement_weights_are_kept_and_no_scores_are_told(work_folder):
    StepClock(recipe=LineRecipe(), minutes=0.1, judged=False).train()
    record = json.loads((work_folder / "weights" / "line" / "training.json").read_text())
    assert record["scores"] == {}
    assert weights(work_folder)
    assert "score" not in (work_folder / "runs" / "line" / "log.jsonl").read_text()


def test_only_complete_checkpoints_are_kept_and_at_most_two(work_folder):
    StepClock(recipe=LineRecipe(), minutes=0.2).train()
    names = sorted(path.name for path in (work_folder / "runs" / "line").iterdir())
    assert [name for name in names if name.startswith("step-")] == names[-2:]
    assert ".saving" not in names


def test_a_pause_saves_what_was_learnt(work_folder, monkeypatch):
    seen = []

    def look_then_resume(seconds: float) -> None:
        seen.extend(path.name for path in (work_folder / "runs" / "line").glob("step-*"))
        (work_folder / "PAUSE").unlink()

    monkeypatch.setattr("demo_models.recipes.training.time.sleep", look_then_resume)
    (work_folder / "PAUSE").touch()
    recipe = LineRecipe()
    recipe.settings = Settings(minutes=1, batch=4, learning_rate=1e-2, bf16=False, save_every_s=1e9)
    assert StepClock(recipe=recipe, minutes=0.1).train()
    assert seen == ["step-00000000"]


def test_scores_are_logged_and_kept_beside_the_weights(work_folder):
    StepClock(recipe=LineRecipe(), minutes=0.1).train()
    record = json.loads((work_folder / "weights" / "line" / "training.json").read_text())
    assert record["steps"] >= 6
    assert "weight" in record["scores"]
    last = (work_folder / "runs" / "line" / "log.jsonl").read_text().splitlines()[-1]
    assert "score/weight" in json.loads(last)


def test_progress_goes_through_a_checkpoint():
    before, after = Progress(step=5, seconds=2.5), Progress()
    after.load_state_dict(before.state_dict())
    assert after == before
