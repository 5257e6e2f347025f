"""The judge of several edits: the truth passes, nothing and flat paint do not, and each edit is judged in its scene."""

from __future__ import annotations

import pytest

from benchmarks.demo_judge import flat_paint
from benchmarks.demo_several import SCENE_PX, sample_photo


@pytest.fixture(scope="module")
def photo():
    return sample_photo(11, 2)


def test_a_photo_has_unequal_things_and_is_the_same_for_the_same_seed(photo):
    nouns = [pair.noun for pair in photo.pairs]
    assert len(set(nouns)) == len(nouns) == 2
    assert [pair.prompt for pair in sample_photo(11, 2).pairs] == [pair.prompt for pair in photo.pairs]


def test_the_truth_succeeds_and_doing_nothing_and_flat_paint_do_not(photo):
    truth = photo.beside(lambda pair: pair.after.image)
    assert photo.successes(truth) == 2
    assert photo.successes(photo.beside(lambda pair: pair.before.image)) == 0
    assert photo.successes(photo.beside(lambda pair: flat_paint(pair, pair.region))) == 0


def test_what_one_edit_does_to_the_others_scene_fails_the_other(photo):
    spilt = photo.beside(lambda pair: pair.after.image).copy()
    spilt[:40, SCENE_PX : SCENE_PX + 40] = 255 - spilt[:40, SCENE_PX : SCENE_PX + 40]
    assert photo.successes(spilt) == 1


def test_an_outline_is_of_its_own_thing_alone(photo):
    first, second = photo.outline(0), photo.outline(1)
    assert first.shape == second.shape == (SCENE_PX, 2 * SCENE_PX)
    assert not first[:, SCENE_PX:].any()
    assert not second[:, :SCENE_PX].any()
    thing = photo.pairs[1].silhouette > 0
    assert (second[:, SCENE_PX:][thing] == 255).all()
    assert thing.sum() < (second > 0).sum() < 2 * thing.sum()
