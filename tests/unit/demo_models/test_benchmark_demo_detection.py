from benchmarks.demo_detection import best_is_right, box_overlap, instances_found, share
from composition.images import Box, Detection

LEFT, RIGHT = Box(x0=0, y0=0, x1=10, y1=10), Box(x0=50, y0=0, x1=60, y1=10)


def seen(box: Box, score: float = 0.5) -> Detection:
    return Detection(label="rims", score=score, box=box)


def test_overlap_of_boxes():
    assert box_overlap(LEFT, LEFT) == 1
    assert box_overlap(LEFT, RIGHT) == 0
    assert box_overlap(LEFT, Box(x0=0, y0=0, x1=10, y1=5)) == 0.5


def test_one_of_two_rims_is_a_right_answer_but_not_every_instance():
    assert best_is_right([seen(LEFT)], [LEFT, RIGHT])
    assert instances_found([seen(LEFT)], [LEFT, RIGHT]) == 1
    assert instances_found([seen(RIGHT), seen(LEFT)], [LEFT, RIGHT]) == 2


def test_the_best_detection_counts_and_not_a_later_one():
    elsewhere = Box(x0=200, y0=200, x1=220, y1=220)
    assert not best_is_right([seen(elsewhere, 0.9), seen(LEFT, 0.4)], [LEFT])
    assert not best_is_right([], [LEFT])


def test_shares_are_written_as_counts():
    assert share([True, False, True]) == "2/3"
