"""What two boxes share is an area: boxes apart share none, however they lie to each other."""

from __future__ import annotations

import numpy as np
import pytest

from runners.boxes import suppress


@pytest.mark.parametrize("other", [[10, 0, 20, 10], [12, 0, 22, 10], [0, 12, 10, 22], [12, 12, 22, 22]])
def test_boxes_that_do_not_overlap_are_both_kept_at_any_threshold(other):
    boxes = np.array([[0, 0, 10, 10], other], np.float32)
    assert suppress(boxes, np.array([0.9, 0.8], np.float32), 0.0) == [0, 1]


def test_a_share_just_above_the_threshold_is_measured_against_the_union():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10]], np.float32)  # a third of the union
    scores = np.array([0.9, 0.8], np.float32)
    assert suppress(boxes, scores, 0.33) == [0]
    assert suppress(boxes, scores, 0.34) == [0, 1]
