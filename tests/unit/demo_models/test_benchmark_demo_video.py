"""The judge of clips: the truth flickers least and succeeds, the cheats do not."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.demo_video import Tally, warp_error
from demo_models.world.clips import DRIVE, PAN
from tests.unit.demo_models.test_clips import of

COUNT = 5


@pytest.fixture(scope="module", params=[DRIVE, PAN])
def clip(request):
    return of(request.param, COUNT)


def truth(clip):
    return [clip.truth(number) for number in range(COUNT)]


def test_the_truth_hardly_differs_along_its_motion_and_flicker_does(clip):
    steady = warp_error(clip, truth(clip))
    shades = [(-10) ** number % 21 for number in range(COUNT)]
    flickering = [
        np.clip(image.astype(int) + shade, 0, 255).astype(np.uint8)
        for image, shade in zip(truth(clip), shades, strict=True)
    ]
    assert steady < 2.5
    assert warp_error(clip, flickering) > steady + 2


def test_the_truth_succeeds_and_what_was_left_as_it_is_fails(clip):
    right, wrong = Tally(), Tally()
    right.add(clip, 1, truth(clip))
    wrong.add(clip, 1, clip.frames)
    assert all(verdict.success for verdict in right.verdicts)
    assert not any(verdict.success for verdict in wrong.verdicts)
    assert "success 5/5" in right.line("truth", right)


def test_a_frozen_picture_fails_where_something_drives():
    clip, frozen = of(DRIVE, COUNT), Tally()
    frozen.add(clip, 1, [clip.truth(0)] * COUNT)
    assert not frozen.verdicts[-1].success
