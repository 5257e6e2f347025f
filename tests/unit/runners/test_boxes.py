import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from runners.boxes import clip_boxes, has_area, suppress


def boxes(*rows):
    return np.array(rows, np.float32)


def test_boxes_are_cut_at_the_borders_of_the_image():
    assert clip_boxes(boxes([-5, 10, 700, 900]), 480, 640).tolist() == [[0, 10, 640, 480]]


def test_a_box_thinner_than_a_pixel_has_no_area():
    assert has_area(boxes([0, 0, 0.5, 10], [0, 0, 10, 10], [5, 5, 4, 9])).tolist() == [False, True, False]


def test_the_best_of_overlapping_boxes_is_kept():
    scores = np.array([0.5, 0.9, 0.8], np.float32)

    assert suppress(boxes([0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]), scores, 0.5) == [1, 2]


def test_boxes_that_overlap_just_up_to_the_threshold_are_both_kept():
    half_overlapping = boxes([0, 0, 10, 10], [0, 0, 10, 5])

    assert suppress(half_overlapping, np.array([0.9, 0.8], np.float32), 0.5) == [0, 1]


def test_no_boxes_are_no_boxes():
    assert suppress(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.5) == []


@given(arrays(np.float32, (12, 4), elements=st.floats(0, 100, width=32)), st.floats(0, 1))
def test_kept_boxes_never_overlap_more_than_the_threshold_and_come_best_first(raw, threshold):
    rows = np.concatenate([np.minimum(raw[:, :2], raw[:, 2:]), np.maximum(raw[:, :2], raw[:, 2:])], axis=1)
    scores = np.linspace(0.1, 1, 12, dtype=np.float32)

    kept = suppress(rows, scores, threshold)

    assert kept[0] == 11
    assert kept == sorted(kept, reverse=True)
    for position, first in enumerate(kept):
        for second in kept[position + 1 :]:
            low, high = np.maximum(rows[first, :2], rows[second, :2]), np.minimum(rows[first, 2:], rows[second, 2:])
            common = float(np.prod(np.maximum(high - low, 0)))
            union = sum(float(np.prod(rows[i, 2:] - rows[i, :2])) for i in (first, second)) - common
            assert union <= 0 or common / union <= threshold + 1e-5
