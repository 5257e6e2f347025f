"""Every scene that a recipe renders while it trains has a seed to train on: none is ever judged."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from demo_models.recipes import clip, safety, shards  # noqa: E402
from demo_models.recipes.clip import ClipRecipe  # noqa: E402
from demo_models.recipes.safety import SafetyRecipe  # noqa: E402
from demo_models.world.scenes import sample_spec  # noqa: E402
from demo_models.world.seeds import HELD_OUT, TRAINING  # noqa: E402


@pytest.fixture
def drawn(monkeypatch):
    """The seeds of every scene that is drawn from now on."""
    seen = []

    def record(seed, family=None):
        seen.append(seed)
        return sample_spec(seed, family)

    for module in (clip, safety, shards):
        monkeypatch.setattr(module, "sample_spec", record)
    return seen


class NoShards:
    """Scenes without a board, all alike."""

    def __len__(self):
        return 1

    def take(self, array, indices):
        return np.zeros((len(indices), 256, 256, 3), np.uint8)

    def boxes(self, index):
        return ()


def test_the_rendered_shards_begin_at_the_first_seed_to_train_on(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_SCENES", 2)
    monkeypatch.setattr(shards, "HELD_OUT", HELD_OUT[:1])
    shards.render_missing(tmp_path, 3)
    assert drawn == [HELD_OUT[0], *TRAINING[:4]]


@pytest.mark.parametrize(
    "recipe", [ClipRecipe(scenes=NoShards()), SafetyRecipe(scenes=NoShards(), held_out=NoShards())]
)
def test_what_is_rendered_for_a_batch_has_seeds_to_train_on(drawn, recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("DEMO_WORKDIR", str(tmp_path))
    recipe.batch(np.random.default_rng(1))
    assert len(drawn) > 3
    assert all(seed in TRAINING for seed in drawn)
