"""The judge of `benchmarks.demo_photograph_outlines`."""

import numpy as np

from benchmarks.demo_photograph_outlines import judge, marks_of, summary
from benchmarks.demo_photograph_things import Thing
from composition.images import Box
from composition.imaging.masks import boxes_to_mask

CORNER = Thing(
    photograph="p",
    thing="corner",
    recoloured=False,
    outline=[[[10, 10], [49, 10], [49, 49], [10, 49]]],
    without=[[[30, 30], [60, 30], [60, 60], [30, 60]]],
)
TRUTH = CORNER.silhouette((60, 60))


def test_a_person_marks_the_box_around_a_thing_and_a_point_on_it():
    marks = marks_of(TRUTH)
    (point,) = marks["click"].points

    assert marks["box"].box == Box(x0=10.0, y0=10.0, x1=50.0, y1=50.0)
    assert TRUTH[int(point.y), int(point.x)]


def test_the_drawn_outline_is_right_and_the_bare_box_is_told_beside():
    right = judge(CORNER, "box", TRUTH.astype(np.uint8), "sam")
    boxed = judge(CORNER, "box", boxes_to_mask([Box(x0=10, y0=10, x1=50, y1=50)], (60, 60)), "sam")

    assert right.overlap == 1.0
    assert boxed.overlap == right.bare < 0.8
    assert right.ellipse < right.bare


def test_the_summary_tells_boxes_and_clicks_apart():
    nothing = np.zeros((60, 60), np.uint8)
    verdicts = [judge(CORNER, "box", TRUTH.astype(np.uint8), "sam"), judge(CORNER, "click", nothing, "sam")]

    assert summary(verdicts).startswith("box 1.00 click 0.00 bare box 0.7")
    assert summary(verdicts).endswith("of 1 things; 0.6 and better: box 1 click 0")
