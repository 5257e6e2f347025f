"""Pictures beyond the painted world: what the mask hides is what the prompt says."""

import numpy as np
import pytest

from benchmarks.demo_photographs import load_truth
from composition.imaging.lab import distance, to_lab
from demo_models.elsewhere import surfaces
from demo_models.elsewhere.pictures import draw, thing_of
from demo_models.elsewhere.things import NOUNS, Thing
from demo_models.world.palette import COLOURS, PLAIN
from demo_models.world.seeds import ELSEWHERE

SEEDS = ELSEWHERE[:40]


@pytest.fixture(scope="module")
def pictures():
    return [draw(seed) for seed in SEEDS]


def test_a_seed_decides_its_picture_and_another_seed_has_another(pictures):
    again = draw(SEEDS[3])

    assert np.array_equal(again.image, pictures[3].image)
    assert np.array_equal(again.mask, pictures[3].mask)
    assert again.thing == thing_of(SEEDS[3])
    assert not np.array_equal(pictures[3].image, pictures[4].image)


def test_what_the_mask_hides_is_mostly_of_the_colour_that_the_prompt_names(pictures):
    nearest = []
    for picture in pictures:
        if picture.thing.look.material == PLAIN:
            inside = np.median(picture.image[picture.mask], axis=0)
            apart = {name: distance(to_lab(inside), to_lab(np.array(rgb))) for name, rgb in COLOURS.items()}
            nearest.append(min(apart, key=apart.get) == picture.thing.look.colour)

    assert len(nearest) > 20
    assert np.mean(nearest) > 0.7, "the rest is in a box or under an odd light"


def test_every_mask_hides_something_and_leaves_something(pictures):
    for picture in pictures:
        assert picture.image.shape == (256, 256, 3)
        assert picture.depth.shape == picture.mask.shape == (256, 256)
        assert 0.01 < picture.mask.mean() < 0.95
        assert np.ptp(picture.depth) > 20


def test_prompts_name_the_look_and_bare_ones_do_not():
    rng = np.random.default_rng(0)
    for seed in SEEDS:
        thing = Thing.sample(np.random.default_rng(seed))
        bare = thing.bare_prompt(rng)
        assert thing.noun in thing.prompt(rng)
        assert not any(colour in bare.split() for colour in COLOURS)
        if thing.look.material == PLAIN:
            assert thing.look.colour in thing.prompt(rng)
    assert len(NOUNS) == len(set(NOUNS)) > 100


def test_no_photograph_that_is_judged_by_is_painted_with():
    judged = {photograph.file.rsplit("/")[-1] for photograph in load_truth()[0].values()}

    assert judged.isdisjoint(surfaces.PHOTOGRAPHS)
    assert len(surfaces.photographs()) == len(surfaces.PHOTOGRAPHS)
