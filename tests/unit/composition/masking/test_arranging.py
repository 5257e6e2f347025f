"""Several edits beside one another: no pixel is two edits', and crops are shared where that costs no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composition.images import Box
from composition.imaging.masks import boxes_to_mask, feather
from composition.masking import grow
from composition.masking.arranging import LEAST_SCALE_SHARE, Framing, arrange
from composition.masking.edit_mask import EditMask
from composition.request import Crop

FRAMING = Framing(crop=Crop.AUTO, native_size=256, context=2.0)


def edit(x0, y0, x1, y1, *, size=(600, 800), rim_px=9, blend=1.0):
    """An edit of a box, with a soft rim around."""
    thing = boxes_to_mask([Box(x0=x0, y0=y0, x1=x1, y1=y1)], size)
    soft = feather(thing, rim_px)
    crop, fit = grow.crop_and_fit(soft, FRAMING.crop, FRAMING.native_size, FRAMING.context)
    return EditMask(
        thing=thing,
        repaint=thing,
        reach=soft,
        alpha=soft,
        protected=None,
        crop=crop,
        fit=fit,
        detections=(),
        exact=True,
        outlined=False,
        blend=blend,
    )


def test_one_edit_is_arranged_as_it_is():
    alone = edit(100, 100, 160, 160)
    arrangement = arrange([alone], FRAMING)
    assert arrangement.masks == (alone,)
    assert (arrangement.order, arrangement.canvases, arrangement.covered) == ((0,), ((0,),), ({},))
    assert np.array_equal(arrangement.weights, alone.alpha)


def test_what_is_far_apart_keeps_its_own_crop_and_what_is_near_shares_one():
    cup, saucer, lamp = edit(100, 100, 140, 140), edit(150, 110, 190, 140), edit(700, 500, 740, 560)
    arrangement = arrange([cup, lamp, saucer], FRAMING)
    assert arrangement.canvases == ((0, 2), (1,))
    first, second, third = arrangement.masks
    assert (first.crop, first.fit) == (third.crop, third.fit)
    assert (second.crop, second.fit) == (lamp.crop, lamp.fit)
    assert first.crop.x0 <= 100 <= 190 <= first.crop.x1


def test_distant_crops_of_a_large_photo_have_one_size_for_the_model_and_can_share_forwards():
    large = replace(FRAMING, native_size=512)
    edits = [edit(200, 200, 500, 480, size=(2048, 2048)), edit(1500, 1400, 1800, 1790, size=(2048, 2048))]
    masks = arrange(edits, large).masks
    assert masks[0].crop != masks[1].crop
    assert masks[0].fit.model_size == masks[1].fit.model_size


def test_what_touches_shares_a_crop_whatever_it_costs():
    large, small = edit(40, 40, 700, 500), edit(690, 480, 720, 520)
    assert arrange([large, small], FRAMING).canvases == ((0, 1),)


def test_without_crops_all_edits_are_painted_from_the_whole_image():
    whole = replace(FRAMING, crop=Crop.OFF)
    arrangement = arrange([edit(100, 100, 140, 140), edit(700, 500, 740, 560)], whole)
    assert arrangement.canvases == ((0, 1),)
    assert [mask.crop for mask in arrangement.masks] == [None, None]


def test_where_things_overlap_the_later_edit_has_them_and_the_earlier_says_so():
    statue, hat = edit(100, 100, 200, 300), edit(120, 80, 180, 140)
    arrangement = arrange([statue, hat], FRAMING)
    below, above = arrangement.masks
    assert not below.thing[(hat.thing > 0)].any()
    assert np.array_equal(above.thing, hat.thing)
    assert not below.alpha[hat.thing > 0].any()
    assert arrangement.covered == ({1: pytest.approx(60 * 40 / (100 * 200))}, {})
    assert arrangement.order == (0, 1)


def test_an_edit_that_is_covered_wholly_is_not_painted():
    arrangement = arrange([edit(120, 110, 140, 130), edit(100, 100, 200, 200)], FRAMING)
    assert (arrangement.order, arrangement.canvases) == ((1,), ((1,),))
    assert arrangement.covered[0] == {1: 1.0}


boxes = st.tuples(st.integers(0, 700), st.integers(0, 500), st.integers(20, 300), st.integers(20, 300)).map(
    lambda box: (box[0], box[1], min(box[0] + box[2], 800), min(box[1] + box[3], 600))
)


@settings(max_examples=25, deadline=None)
@given(st.lists(boxes, min_size=2, max_size=4))
def test_no_pixel_is_two_edits_and_each_crop_holds_its_own(found):
    edits = [edit(*box) for box in found]
    arrangement = arrange(edits, FRAMING)
    assert (sum((mask.own > 0).astype(int) for mask in arrangement.masks) == 1).all()
    assert (sum((mask.thing > 0).astype(int) for mask in arrangement.masks) <= 1).all()
    assert sorted(place for canvas in arrangement.canvases for place in canvas) == sorted(arrangement.order)
    for alone, mask in zip(edits, arrangement.masks, strict=True):
        assert (mask.alpha <= alone.alpha).all()
    for canvas in arrangement.canvases:
        assert len({(arrangement.masks[place].crop, arrangement.masks[place].fit) for place in canvas}) == 1
        box = arrangement.masks[canvas[0]].crop
        if box is not None:
            inside = boxes_to_mask([box], (600, 800)) > 0
            assert all(not edits[place].reach[~inside].any() for place in canvas)
    reaches = [np.maximum.reduce([edits[place].reach for place in canvas]) for canvas in arrangement.canvases]
    for number, reach in enumerate(reaches):
        for other in reaches[:number]:
            assert not (reach & other).any(), "what touches shares a crop"


@settings(max_examples=25, deadline=None)
@given(st.lists(boxes, min_size=2, max_size=3))
def test_sharing_never_costs_more_than_crops_of_their_own_unless_things_touch(found):
    edits = [edit(*box) for box in found]
    together = np.maximum.reduce([one.reach for one in edits])
    if sum(int((one.reach > 0).sum()) for one in edits) != int((together > 0).sum()):
        return
    arrangement = arrange(edits, FRAMING)

    def cost(masks):
        return sum(mask.fit.model_size[0] * mask.fit.model_size[1] for mask in masks)

    assert cost(arrangement.masks) <= cost(edits)
    for canvas in arrangement.canvases:
        for place in canvas:
            assert arrangement.masks[place].fit.scale >= LEAST_SCALE_SHARE ** len(found) * edits[place].fit.scale


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1))
def test_the_weights_of_a_share_rise_with_it_and_never_jump(one, other):
    low, high = sorted((one, other))
    weights = {share: edit(10, 10, 40, 40, size=(60, 60), blend=share).weights.astype(int) for share in (low, high)}
    assert (weights[low] <= weights[high]).all()
    assert (weights[high] - weights[low] <= 255 * (high - low) + 1).all()
    assert np.array_equal(edit(10, 10, 40, 40, size=(60, 60)).weights, edit(10, 10, 40, 40, size=(60, 60)).alpha)
