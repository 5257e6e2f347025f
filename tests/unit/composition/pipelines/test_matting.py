"""Of a box in which a thing is replaced, only what the old and the new thing cover is laid over the photograph."""

from __future__ import annotations

import numpy as np
import pytest

from composition.images import Outlines
from composition.request import EditOptions, EditRequest, Keep, RefineMask
from tests.fakes.fake_detector import FakeDetector, detection
from tests.fakes.fake_diffuser import FakeDiffuser

MUG = detection("mug", 120, 80, 220, 200)
OLD = (slice(100, 180), slice(130, 160))
NEW = (slice(100, 180), slice(180, 210))
OTHER_NEW = (slice(85, 105), slice(130, 210))
SEAM_PX = 12
"""Farther from both silhouettes nothing changes; the seam's dilation and feather take less."""


class SeeingSegmenter:
    """Sees one silhouette in the photograph, and one after the other in what was painted."""

    def __init__(self, photo, old, *news):
        self.photo, self.old, self.news = photo, old, list(news)
        self.seen = []

    async def segment(self, image, detections):
        self.seen.append(image)
        mask = np.zeros(image.shape[:2], np.uint8)
        shape = self.old if np.array_equal(image, self.photo) else self.news.pop(0)
        if shape is not None:
            mask[shape] = 255
        return Outlines(masks=tuple(mask for _ in detections), drawn_by="sam")


def request(photo, prompt="replace the mug with a teapot", *, n=1, **options):
    return EditRequest(
        base=photo, prompt=prompt, n=n, options=EditOptions(**{"seed": 7, "num_inference_steps": 2, **options})
    )


def changed(photo, image):
    return (photo != image).any(axis=2)


def grown(*shapes, by=SEAM_PX):
    mask = np.zeros((300, 400), bool)
    for rows, columns in shapes:
        mask[rows.start - by : rows.stop + by, columns.start - by : columns.stop + by] = True
    return mask


@pytest.fixture
def mug_in(bench, photo):
    def build(*shapes):
        return bench(detector=FakeDetector({"mug": [MUG]}), segmenter=SeeingSegmenter(photo, *shapes))

    return build


async def test_what_neither_the_old_nor_the_new_thing_covers_stays_as_photographed(mug_in, photo):
    b = mug_in(OLD, NEW)
    result = await b.edit(request(photo))
    difference = changed(photo, result.images[0])
    assert difference[OLD].mean() > 0.99, "the old thing is gone, though the new one is elsewhere"
    assert difference[NEW].mean() > 0.99
    assert not (difference & ~grown(OLD, NEW)).any()
    assert not difference[190:200, 125:215].any(), "the lower part of the box"
    assert (result.mask[85:195, 125:215] == 255).all(), "the mask is that of the analysis: the box"
    assert "sam" in result.models_used
    assert 0.4 < result.metadata["kept"]["surroundings"] < 0.9


async def test_the_new_thing_is_looked_for_in_what_was_painted(mug_in, photo):
    b = mug_in(OLD, NEW)
    await b.edit(request(photo))
    first, second = b.segmenter.seen
    assert np.array_equal(first, photo)
    assert changed(photo, second)[80:200, 120:220].mean() > 0.99
    assert not changed(photo, second)[:50].any()


async def test_every_candidate_has_the_weights_of_its_own_thing(mug_in, photo):
    result = await mug_in(OLD, NEW, OTHER_NEW).edit(request(photo, n=2))
    first, second = (changed(photo, image) for image in result.images)
    assert first[NEW].mean() > 0.99
    assert second[OTHER_NEW].mean() > 0.99
    assert not (second & ~grown(OLD, OTHER_NEW)).any()
    assert not (first & ~grown(OLD, NEW)).any()


async def test_without_it_all_of_the_box_changes_and_no_silhouette_is_drawn(mug_in, photo):
    b = mug_in(OLD, NEW)
    result = await b.edit(request(photo, keep_surroundings=Keep.OFF))
    assert changed(photo, result.images[0])[80:200, 120:220].mean() > 0.99
    assert b.segmenter.seen == []
    assert result.metadata["kept"] == {}


@pytest.mark.parametrize("shapes", [(None,), (OLD, None), (OLD, (slice(100, 104), slice(130, 134)))])
async def test_where_no_silhouette_is_seen_all_of_the_box_changes_and_it_is_said(mug_in, photo, shapes):
    result = await mug_in(*shapes).edit(request(photo))
    assert changed(photo, result.images[0])[80:200, 120:220].mean() > 0.99
    assert result.metadata["warnings"] == ["no silhouette was seen in the box: all of it is repainted"]
    assert "surroundings" not in result.metadata["kept"]


@pytest.mark.parametrize(
    ("prompt", "options"),
    [
        ("remove the mug", {}),
        ("put a teapot on the mug", {}),
        ("make the mug red", {"refine_mask": RefineMask.OFF}),
        ("replace the mug with a teapot", {"refine_mask": RefineMask.ON}),
    ],
)
async def test_what_is_no_replacement_in_a_box_is_laid_over_as_before(bench, photo, prompt, options):
    both = [
        await bench(detector=FakeDetector({"mug": [MUG]}), diffuser=FakeDiffuser()).edit(
            request(photo, prompt, **options, keep_surroundings=keep)
        )
        for keep in Keep
    ]
    assert np.array_equal(both[0].images[0], both[1].images[0])
    assert "surroundings" not in both[0].metadata["kept"]
