"""No model is trained on a scene that it is judged or scored by."""

import itertools

import numpy as np
import pytest

from demo_models.world import seeds
from demo_models.world.seeds import EDITS, HELD_OUT_EDITS, JUDGING, SCENES_PER_EDIT, TRAINING, edit_scene, training_seed

SCENES = {name: value for name, value in vars(seeds).items() if isinstance(value, range) and name != "HELD_OUT_EDITS"}


@pytest.mark.parametrize(("one", "other"), [*itertools.combinations(SCENES, 2)])
def test_no_two_purposes_share_a_scene(one, other):
    first, second = sorted((SCENES[one], SCENES[other]), key=lambda scenes: scenes.start)
    assert first.stop <= second.start


def test_the_numbers_of_edits_that_are_judged_are_not_those_that_recipes_are_scored_on():
    assert HELD_OUT_EDITS.stop <= JUDGING.start


@pytest.mark.parametrize("number", [0, HELD_OUT_EDITS.start, JUDGING.start, JUDGING.stop - 1])
@pytest.mark.parametrize("attempt", [0, SCENES_PER_EDIT - 1])
def test_every_edit_has_scenes_of_edits_only(number, attempt):
    assert edit_scene(number, attempt) in EDITS


def test_two_edits_share_no_scene():
    assert edit_scene(7, SCENES_PER_EDIT - 1) < edit_scene(8, 0)


def test_seeds_that_are_drawn_while_a_recipe_runs_are_seeds_to_train_on():
    class Extremes(np.random.Generator):
        """Draws the lowest and the highest of what may be drawn, in turn."""

        def __init__(self):
            super().__init__(np.random.PCG64(0))
            self.lowest = True

        def integers(self, low, high):
            self.lowest = not self.lowest
            return high - 1 if self.lowest else low

    rng = Extremes()
    assert [training_seed(rng), training_seed(rng)] == [TRAINING[0], TRAINING[-1]]
