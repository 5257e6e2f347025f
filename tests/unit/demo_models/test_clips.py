"""The moving world: what moves moves as it says, and its truth with it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from benchmarks.demo_judge import judge
from demo_models.world.cars import Car
from demo_models.world.clips import DRIVE, MOVE, PAN, joined, sample_clip, shifted
from demo_models.world.edits import RECOLOUR, sample_edit
from demo_models.world.people import Person
from demo_models.world.scenes import render_empty

FIRST_SEED, COUNT = 4_500_000, 4


def of(motion, count=COUNT):
    for seed in range(FIRST_SEED, FIRST_SEED + 50):
        subject = sample_edit(seed, RECOLOUR).before.spec.subject
        wanted = {DRIVE: isinstance(subject, Car), MOVE: isinstance(subject, Person), PAN: not isinstance(subject, Car)}
        if wanted[motion]:
            return sample_clip(seed, count, people_move=motion == MOVE)
    raise AssertionError("no such clip")


@pytest.fixture(scope="module", params=[DRIVE, PAN, MOVE])
def clip(request):
    made = of(request.param)
    assert made.motion == request.param
    return made


def centre(mask):
    return np.flatnonzero((mask > 127).any(axis=0)).mean()


@pytest.mark.parametrize("motion", [DRIVE, PAN])
def test_the_thing_moves_as_far_as_the_clip_says(motion):
    clip = of(motion)
    places = [centre(clip.silhouette(number)) for number in range(COUNT)]
    for place, moved in zip(places, clip.moved, strict=True):
        assert place - places[0] == pytest.approx(moved, abs=1.0)
    assert abs(clip.moved[-1]) >= 2


def test_a_person_who_moves_comes_back_to_where_it_was_and_wears_the_same_all_the_time():
    clip = of(MOVE, 49)
    assert clip.moved is None
    assert np.array_equal(clip.frames[0], clip.frames[48])
    assert (clip.frames[0] != clip.frames[24]).any(axis=-1).mean() > 0.02
    looks = {pair.after.spec.subject.appearance for pair in clip.pairs}
    assert len(looks) == 1
    steps = [(one != other).any(axis=-1).mean() for one, other in zip(clip.frames, clip.frames[1:], strict=False)]
    assert max(steps) < 0.1


def test_only_the_region_is_to_change_in_any_frame(clip):
    for number, frame in enumerate(clip.frames):
        changed = (clip.truth(number) != frame).any(axis=-1)
        assert changed.any()
        assert not changed[ndimage.maximum_filter(clip.silhouette(number), 3) == 0].any()  # but for its soft edge
        assert clip.region(number)[clip.silhouette(number) == 0].max() == 0


def test_the_truth_is_judged_right_and_the_frame_as_it_was_wrong(clip):
    for number, pair in enumerate(clip.pairs):
        assert judge(pair, 1, clip.as_seen_standing(number, clip.truth(number))).success
        assert not judge(pair, 1, clip.as_seen_standing(number, clip.frames[number])).success


def test_no_second_thing_comes_into_view():
    clip = of(PAN, 40)
    assert abs(clip.camera[-1]) > 10
    alone, backdrop = clip.pairs[0].silhouette > 0, render_empty(clip.pairs[0].before.spec)
    for number, shift in enumerate(clip.camera):
        thing = shifted(alone.astype(np.uint8), shift, fill=0) > 0
        empty = shifted(backdrop, shift)
        beyond = shifted(np.ones_like(alone, np.uint8), shift, fill=0) == 0
        assert np.array_equal(clip.frames[number][beyond], empty[beyond])
        assert not (thing & beyond).any()


def test_a_clip_is_the_same_for_the_same_seed():
    one, again = sample_clip(FIRST_SEED, 3), sample_clip(FIRST_SEED, 3)
    assert all(np.array_equal(a, b) for a, b in zip(one.frames, again.frames, strict=True))
    assert one.moved == again.moved


def test_clips_are_joined_by_cuts(clip):
    assert len(joined(clip, clip)) == 2 * COUNT


def test_a_shift_moves_pixels_and_mirrors_the_edge():
    row = np.arange(5, dtype=np.uint8)[None]
    assert shifted(row, 2).tolist() == [[2, 1, 0, 1, 2]]
    assert shifted(row, -1).tolist() == [[1, 2, 3, 4, 3]]
    assert shifted(row, 2, fill=9).tolist() == [[9, 9, 0, 1, 2]]
