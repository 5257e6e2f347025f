"""A region between key frames: it goes with its thing, doubts itself, and its crop follows it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from composition.decision import Target
from composition.images import Box
from composition.imaging.flow import flow_between
from composition.masking.region import Region
from composition.masking.tracking import Framing, agreed, followed, found, framed
from tests.unit.composition.imaging.test_flow import SIZE, square, texture, with_square
from tests.unit.composition.masking.test_edit_mask import plan_for

BACKGROUND = texture()


def plan(**options):
    return plan_for(Target(phrase="mug"), BACKGROUND, keeps_shape=False, options=options)


def track(x=60, y=90, side=60):
    return found(Region(thing=square(x, y, side)))


def driven(start, steps, dx=5):
    """A track followed over frames in which its square moves."""
    tracked = track(start)
    for step in range(steps):
        frames = [with_square(BACKGROUND, start + dx * (step + more), 90, 60) for more in (0, 1)]
        tracked = followed(tracked, flow_between(*frames))
    return tracked


def test_a_thing_is_followed_over_several_frames():
    tracked = driven(60, 3)
    truth = square(75, 90, 60) > 0
    thing = tracked.region.thing > 0
    assert (thing & truth).sum() / (thing | truth).sum() > 0.85
    assert (tracked.age, tracked.doubtful) == (3, False)


def test_what_is_protected_goes_along():
    tracked = found(Region(thing=square(60, 90, 60), protected=square(60, 90, 20)))
    flow = flow_between(with_square(BACKGROUND, 60, 90, 60), with_square(BACKGROUND, 66, 90, 60))
    protected = followed(tracked, flow).region.protected > 0
    truth = square(66, 90, 20) > 0
    assert (protected & truth).sum() / (protected | truth).sum() > 0.7


def test_a_flow_that_is_not_sure_is_doubted_and_so_is_a_thing_that_grows():
    still = flow_between(BACKGROUND, BACKGROUND)
    unsure = replace(still, sure=np.full(SIZE, 0.3, np.float32))
    assert not followed(track(), still).doubtful
    assert followed(track(), unsure).doubtful
    assert followed(replace(track(), found_area=track().found_area / 2), still).doubtful


def test_doubt_stays_until_it_is_found_again():
    still = flow_between(BACKGROUND, BACKGROUND)
    doubtful = followed(replace(track(), doubtful=True), still)
    assert doubtful.doubtful
    assert not agreed(doubtful, track(100)).doubtful


def test_a_thing_that_left_the_picture_is_gone():
    still = flow_between(BACKGROUND, BACKGROUND)
    away = replace(still, at=still.at + np.float32(400))
    assert followed(track(), away) is None


def test_another_thing_is_not_taken_for_the_one_that_was_followed():
    carried = replace(track(60), age=8)
    assert agreed(carried, track(62)).region.thing[100, 121] == 255
    kept = agreed(carried, track(200))
    assert np.array_equal(kept.region.thing, carried.region.thing)
    assert kept.age == 0


@pytest.mark.parametrize(("x", "left"), [(120, 90), (2, 0), (230, 180)])
def test_a_crop_of_the_shots_size_follows_the_thing(x, left):
    first = framed(track(60), plan(mask_dilation_px=0, mask_blur_px=0), 256, None)
    framing = Framing(crop=Box(x0=0, y0=60, x1=120, y1=180), fit=first.fit)
    mask = framed(track(x), plan(mask_dilation_px=0, mask_blur_px=0), 256, framing)
    assert (mask.crop.x0, mask.crop.x1, mask.crop.y0, mask.crop.y1) == (left, left + 120, 60, 180)
    assert mask.fit is first.fit


def test_a_thing_that_outgrows_the_crop_gets_one_of_its_own():
    framing = Framing(crop=Box(x0=0, y0=60, x1=50, y1=110), fit=framed(track(), plan(), 256, None).fit)
    mask = framed(track(), plan(), 256, framing)
    assert mask.crop is None or mask.crop.x1 - mask.crop.x0 > 60


def test_what_was_protected_and_is_not_seen_on_a_key_frame_still_is_and_what_is_seen_is_where_it_is_seen():
    left, right, seen = square(60, 90, 15), square(100, 90, 15), square(62, 90, 15)
    before = found(Region(thing=square(60, 90, 60), protected=np.maximum(left, right)))
    anew = found(Region(thing=square(60, 90, 60), protected=seen))
    assert np.array_equal(agreed(before, anew).region.protected, np.maximum(seen, right))
    without = found(Region(thing=square(60, 90, 60)))
    assert np.array_equal(agreed(before, without).region.protected, np.maximum(left, right))
    assert np.array_equal(agreed(without, anew).region.protected, seen)
    assert agreed(replace(before, doubtful=True), without).region.protected is None
