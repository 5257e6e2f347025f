"""The judge of several views: the truth has the least spread, other colours have more, and one seed one scene."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.demo_judge import flat_paint
from benchmarks.demo_views import Tally
from demo_models.world.edits import RECOLOUR, sample_edit
from demo_models.world.people import Person
from demo_models.world.scenes import sample_spec
from demo_models.world.scoring import colour_difference, mean_colour
from demo_models.world.views import sample_views, seen_from_elsewhere

SEED = 4_320_000


@pytest.fixture(scope="module")
def scene():
    return sample_views(SEED, RECOLOUR, 3)


def test_views_are_of_one_thing_from_elsewhere_and_the_same_for_the_same_seed(scene):
    first = sample_edit(SEED, RECOLOUR)
    assert np.array_equal(scene.pairs[0].before.image, first.before.image)
    assert {pair.prompt for pair in scene.pairs} == {scene.prompt}
    for name in ("before", "after"):
        looks = {getattr(pair, name).spec.subject.appearance for pair in scene.pairs}
        assert len(looks) == 1
    assert len({pair.before.image.tobytes() for pair in scene.pairs}) == 3
    again = sample_views(SEED, RECOLOUR, 3)
    assert all(np.array_equal(a.after.image, b.after.image) for a, b in zip(scene.pairs, again.pairs, strict=True))


@pytest.mark.parametrize("family", ["car", "person", "furniture"])
def test_a_thing_seen_from_elsewhere_has_its_own_colour(family):
    spec = sample_spec(1_000_007, family)
    other = seen_from_elsewhere(np.random.default_rng(1), spec)
    assert (other.subject.noun, other.subject.appearance) == (spec.subject.noun, spec.subject.appearance)
    assert other.backdrop != spec.backdrop
    if isinstance(other.subject, Person):
        assert other.subject.top_px + other.subject.height_px <= 512


def test_the_truth_differs_less_than_what_is_painted_in_colours_of_its_own(scene):
    def painted(change):
        images = [flat_paint(pair, pair.region) for pair in scene.pairs]
        for number, (pair, image) in enumerate(zip(scene.pairs, images, strict=True)):
            inside = pair.region > 200
            image[inside] = np.clip(image[inside].astype(int) + change * number, 0, 255)
        return images

    spreads = {}
    for name, images in (("flat", painted(0)), ("uneven", painted(-20))):
        tally = Tally()
        tally.add(scene, SEED, images)
        spreads[name] = tally.colours[0]
    truth = Tally()
    truth.add(scene, SEED, [pair.after.image for pair in scene.pairs])
    assert spreads["uneven"] > spreads["flat"] + 2
    assert sum(verdict.success for verdict in truth.verdicts) == 3
    colours = [mean_colour(pair.after.image, pair.region) for pair in scene.pairs]
    assert truth.colours[0] == pytest.approx(
        np.mean([colour_difference(colours[a], colours[b]) for a, b in ((0, 1), (0, 2), (1, 2))])
    )
    assert "of apart" in truth.line("truth", truth)
