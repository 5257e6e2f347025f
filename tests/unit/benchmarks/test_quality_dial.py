"""The table of `benchmarks.quality_dial`: figures from the pictures, not from what a setting is called."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.demo_settings import with_options
from benchmarks.demo_world import request_for
from benchmarks.quality_dial import SETTINGS, Shot, line, psnr_db
from composition.request import OPTIONS, Quality
from demo_models.world.edits import sample_edit


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_changes_its_own_options_and_nothing_else(setting):
    plain = request_for(sample_edit(1, "recolour"), 1)
    changed = with_options(plain, SETTINGS[setting])
    differing = {name for name in OPTIONS if getattr(plain.options, name) != getattr(changed.options, name)}
    assert differing == set(SETTINGS[setting])


def test_every_quality_is_measured():
    assert {str(quality) for quality in Quality} <= set(SETTINGS)


def test_the_ratio_counts_the_inside_of_the_mask_only():
    image, mask = np.full((8, 8, 3), 100, np.uint8), np.zeros((8, 8), np.uint8)
    mask[:4] = 255
    outside = image.copy()
    outside[4:] = 200
    assert psnr_db(image, outside, mask) == math.inf
    assert psnr_db(image, image + np.uint8(10), mask) == pytest.approx(20 * math.log10(255 / 10))


def test_a_line_has_medians_the_worst_picture_and_the_successes():
    shots = [
        Shot(kind="recolour", seed=seed, flops=5, share=share, psnr_db=psnr, success=seed > 0)
        for seed, (share, psnr) in enumerate([(0.5, 31.0), (0.6, 40.0), (0.7, 28.04)])
    ]
    assert line("balanced", shots) == "| balanced | 0.60 | 31.0 (28.0) | 2 of 3 |"
