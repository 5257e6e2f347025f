"""The judge of insertions and removals passes the truth and fails every cheat, even where the detector is fooled."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.demo_insertion import ADD, REMOVE, cheats, sample_trial, succeeded
from tests.fakes.fake_detector import FakeDetector, detection

SEEDS = range(2_300_000, 2_300_004)


def seen(trial):
    """A detector that sees the thing where it is, or would be, whatever is painted there."""
    box = next(box for box in trial.scene.boxes if box.label == trial.noun)
    return FakeDetector({"*": [detection(trial.noun, box.left, box.top, box.right, box.bottom)]})


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_insertion_is_the_thing_in_its_colour_and_no_block_of_paint(seed):
    trial = sample_trial(ADD, seed)
    assert await succeeded(trial, trial.truth, seen(trial))
    assert not await succeeded(trial, trial.truth, FakeDetector({"*": []}))
    for image in cheats(trial).values():
        assert not await succeeded(trial, image, seen(trial))


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_removal_is_the_empty_scene_in_which_the_detector_sees_nothing(seed):
    trial = sample_trial(REMOVE, seed)
    assert await succeeded(trial, trial.truth, FakeDetector({"*": []}))
    assert not await succeeded(trial, trial.truth, seen(trial))
    assert not await succeeded(trial, trial.before, FakeDetector({"*": []}))


@pytest.mark.parametrize("seed", SEEDS)
def test_an_insertion_starts_from_the_scene_without_the_thing_and_marks_where_it_could_stand(seed):
    trial = sample_trial(ADD, seed)
    changed = (trial.before != trial.truth).any(axis=2) & (trial.scene.silhouette > 127)
    assert changed.mean() > 0
    assert not (changed & (trial.mask == 0)).any()
    assert trial.noun in trial.prompt
    assert np.array_equal(sample_trial(ADD, seed).truth, trial.truth)
