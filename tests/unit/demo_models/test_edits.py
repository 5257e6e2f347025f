import numpy as np
import pytest

from demo_models.world.edits import KINDS, MATERIAL, OCCLUSION, RECOLOUR, REFERENCE, STRUCTURE, sample_edit
from demo_models.world.scenes import render_empty
from demo_models.world.scoring import colour_progress


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_only_the_region_differs_between_before_and_after(kind, seed):
    pair = sample_edit(seed, kind)
    changed = (pair.before.image != pair.after.image).any(axis=2)
    assert changed.any()
    assert np.array_equal(pair.before.depth, pair.after.depth)
    assert np.array_equal(pair.before.parts, pair.after.parts)
    assert changed[pair.silhouette == 0].mean() < 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_is_deterministic(kind):
    first, second = sample_edit(5, kind), sample_edit(5, kind)
    assert first.prompt == second.prompt
    assert np.array_equal(first.after.image, second.after.image)


def test_only_reference_edits_have_a_reference():
    assert {kind: sample_edit(1, kind).reference is not None for kind in KINDS} == {
        RECOLOUR: False,
        MATERIAL: False,
        REFERENCE: True,
        STRUCTURE: False,
    }


def test_the_truth_scores_in_full():
    pair = sample_edit(2, RECOLOUR)
    images = pair.before.image, pair.after.image, pair.after.image
    assert colour_progress(*images, pair.region) == pytest.approx(1.0)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="no edit 'magic'"):
        sample_edit(0, "magic")


def test_a_rough_mask_covers_the_thing_and_tells_little_of_its_shape():
    shares = []
    for seed in range(6):
        pair = sample_edit(seed, "structure")
        rough, thing = pair.rough_mask > 127, pair.silhouette > 127
        assert rough[thing].all()
        rows, columns = np.flatnonzero(rough.any(axis=1)), np.flatnonzero(rough.any(axis=0))
        assert rough[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert (pair.rough_mask == sample_edit(seed, "structure").rough_mask).all()
        shares.append(thing.sum() / rough.sum())
    assert max(shares) < 0.6


@pytest.mark.parametrize("seed", range(8))
def test_what_stands_in_front_hides_the_thing_and_stays_as_it_was(seed):
    pair = sample_edit(seed, OCCLUSION)
    front = pair.before.front_mask > 250
    assert np.count_nonzero(front) > 300
    assert not (pair.silhouette[front] > 0).any(), "what is hidden is no part of the silhouette"
    assert (pair.after.image[front] == pair.before.image[front]).all()
    assert (pair.after.front_mask == pair.before.front_mask).all()
    assert pair.before.depth[front].astype(int).mean() > pair.before.depth[pair.silhouette > 250].astype(int).mean()
    assert (render_empty(pair.before.spec)[front] == pair.before.image[front]).mean() > 0.9, "it casts its own shadow"
    assert (pair.before.image != pair.after.image).any(axis=2)[pair.region > 250].mean() > 0.9


def test_nothing_stands_in_front_of_other_edits_things():
    assert not sample_edit(3, STRUCTURE).before.front_mask.any()
