"""Silhouettes without a network, and who draws them on which image."""

import cv2
import numpy as np
import pytest

from composition.images import Box
from composition.marks import Mark, Point
from runners.detector.grabcut import outline, sharpened
from runners.detector.outlining import Outliner
from runners.detector.queries import SegmentQuery
from runners.home import Home
from tests.unit.runners.brightness_home import BrightnessHome

SIZE = (300, 400)
ROWS, COLUMNS = np.mgrid[: SIZE[0], : SIZE[1]]
DISC = (COLUMNS - 180) ** 2 + (ROWS - 140) ** 2 <= 60**2


def photo(brightness=120):
    """A red disc with a shade and grain, on green."""
    rng = np.random.default_rng(0)
    image = np.where(DISC[..., None], (190.0, 40.0, 50.0), (60.0, brightness, 70.0))
    return np.clip(image * (0.8 + 0.3 * ROWS[..., None] / SIZE[0]) + rng.normal(0, 4, image.shape), 0, 255).astype(
        np.uint8
    )


def overlap(mask, truth):
    return ((mask > 0) & truth).sum() / ((mask > 0) | truth).sum()


@pytest.mark.parametrize(
    "mark",
    [
        Mark(box=Box(x0=110, y0=70, x1=250, y1=210)),
        Mark(points=(Point(170, 150),)),
        Mark(points=(Point(170, 150), Point(300, 250, 0))),
        Mark(points=(Point(190, 130),), box=Box(x0=115, y0=75, x1=245, y1=205)),
    ],
)
def test_a_thing_of_another_colour_is_outlined_by_a_box_and_by_a_click(mark):
    drawn = outline(photo(), mark)

    assert drawn.shape == SIZE
    assert set(np.unique(drawn)) == {0, 255}
    assert overlap(drawn, DISC) > 0.9


def test_a_box_in_which_nothing_can_be_told_apart_is_its_own_outline():
    flat = np.full((*SIZE, 3), 90, np.uint8)
    drawn = outline(flat, Mark(box=Box(x0=100, y0=100, x1=200, y1=180)))

    assert 0.5 < (drawn > 0).sum() / (100 * 80) < 1.2


@pytest.mark.parametrize("box", [Box(x0=0, y0=0, x1=400, y1=300), Box(x0=-50, y0=-9, x1=3, y1=2)])
def test_a_box_of_everything_and_one_of_almost_nothing_have_an_outline(box):
    assert outline(photo(), Mark(box=box)).any()


def test_the_same_question_has_the_same_answer():
    mark = Mark(points=(Point(170, 150),))

    assert np.array_equal(outline(photo(), mark), outline(photo(), mark))


def blunt(truth, reach=6):
    """As a small SAM draws: a few pixels off to one side, with its notches and bays filled."""
    moved = np.roll(truth, (reach, -reach), axis=(0, 1)).astype(np.uint8) * 255
    return np.where(cv2.GaussianBlur(moved, (0, 0), reach) > 127, np.uint8(255), np.uint8(0))


BOX = Mark(box=Box(x0=118, y0=78, x1=243, y1=203))


def test_a_drawn_outline_is_moved_to_the_edge_that_it_is_near():
    drawn = blunt(DISC)
    cut = sharpened(photo(), BOX, drawn)

    assert overlap(drawn, DISC) < 0.88
    assert overlap(cut, DISC) > 0.98
    assert set(np.unique(cut)) == {0, 255}
    assert np.array_equal(cut, sharpened(photo(), BOX, drawn))


def test_a_drawn_outline_keeps_a_rim_that_is_as_dark_as_what_is_around():
    """A wheel with its tyre on a dark road: sure of the wheel alone, the cut would leave the tyre to the road."""
    away = np.hypot(COLUMNS - 180, ROWS - 140)
    wheel, tyre = away <= 15, away <= 20
    image = photo()
    image[tyre | (ROWS > 150)] = 30
    image[wheel] = (180, 180, 190)
    image += np.random.default_rng(1).integers(0, 9, image.shape, np.uint8)
    cut = sharpened(image, Mark(box=Box(x0=158, y0=118, x1=203, y1=163)), np.where(tyre, np.uint8(255), np.uint8(0)))

    assert overlap(cut, tyre) > 0.9


def test_of_a_drawn_outline_a_box_and_clicks_are_heeded():
    half = Mark(box=Box(x0=118, y0=78, x1=243, y1=140))
    off = Mark(points=(Point(180, 140), Point(180, 195, 0)))

    assert not sharpened(photo(), half, blunt(DISC))[150:].any()
    assert (sharpened(photo(), half, blunt(DISC))[DISC & (ROWS < 136)] > 0).mean() > 0.95
    assert (sharpened(photo(), off, blunt(DISC))[193:198, 178:183] > 0).mean() < 0.5


def test_a_drawn_outline_of_nothing_stays_empty_and_one_of_everything_stays_whole():
    nothing, everything = np.zeros(SIZE, np.uint8), np.full(SIZE, 255, np.uint8)

    assert not sharpened(photo(), BOX, nothing).any()
    assert sharpened(photo(), Mark(points=(Point(5, 5),)), everything).mean() > 250


class Sam:
    """Draws the same in every image."""

    module = None

    def __init__(self, drawn=None):
        self.asked, self.drawn = [], np.zeros(SIZE, np.uint8) if drawn is None else drawn

    def segment(self, queries):
        self.asked += queries
        return [tuple(self.drawn for _ in query.marks) for query in queries]


def test_what_the_sam_of_one_kind_of_image_draws_there_is_sharpened_and_another_sams_is_not():
    query, drawn = SegmentQuery(image=255 - photo() // 4, marks=(BOX, BOX)), blunt(DISC)
    (cut,) = Outliner(Sam(drawn), Home(BrightnessHome())).segment([query])
    (kept,) = Outliner(Sam(drawn)).segment([query])

    assert [overlap(mask, DISC) > 0.95 for mask in cut] == [True, True]
    assert cut.drawn_by == "sam"
    assert [np.array_equal(mask, drawn) for mask in kept] == [True, True]


def test_grabcut_draws_where_the_home_of_an_image_is_elsewhere_and_is_named():
    sam, box = Sam(), Mark(box=Box(x0=110, y0=70, x1=250, y1=210))
    painted, photograph = (
        SegmentQuery(image=np.full((*SIZE, 3), 220, np.uint8), marks=(box, box)),
        SegmentQuery(image=photo(60), marks=(box,)),
    )
    first, second = Outliner(sam, Home(BrightnessHome())).segment([photograph, painted])

    assert (first.drawn_by, second.drawn_by) == ("grabcut", "sam")
    assert sam.asked == [painted]
    assert (len(first), len(second)) == (1, 2)
    assert overlap(next(iter(first)), DISC) > 0.9


def test_without_a_home_sam_draws_everything():
    sam = Sam()
    (drawn,) = Outliner(sam).segment([SegmentQuery(image=photo(60), marks=(Mark(points=(Point(9, 9),)),))])

    assert drawn.drawn_by == "sam"
    assert len(sam.asked) == 1
