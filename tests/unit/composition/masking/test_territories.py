"""Which of several edits a pixel is of."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from composition.images import Box
from composition.imaging.masks import boxes_to_mask
from composition.masking.territories import owners, painting_order

SIZE = (24, 32)
WHOLE = np.full(SIZE, 255, np.uint8)


def thing(x0, y0, x1, y1):
    return boxes_to_mask([Box(x0=x0, y0=y0, x1=x1, y1=y1)], SIZE)


boxes = st.tuples(st.integers(0, 27), st.integers(0, 19), st.integers(1, 5), st.integers(1, 5)).map(
    lambda box: thing(box[0], box[1], box[0] + box[2], box[1] + box[3])
)


@settings(max_examples=50, deadline=None)
@given(st.lists(boxes, min_size=1, max_size=4))
def test_a_pixel_of_things_is_the_last_ones_and_any_other_that_of_the_nearest_thing(things):
    owner = owners(things)
    rows, columns = np.indices(SIZE)
    distances = []
    for one in things:
        ys, xs = np.nonzero(one)
        distances.append(np.sqrt((rows[..., None] - ys) ** 2 + (columns[..., None] - xs) ** 2).min(axis=2))
    distances = np.array(distances)
    chosen = np.take_along_axis(distances, owner[None].astype(int), axis=0)[0]
    assert (chosen <= distances.min(axis=0) + 0.01).all()
    covered = np.array(things) > 0
    last = len(things) - 1 - covered[::-1].argmax(axis=0)
    inside = covered.any(axis=0)
    assert (owner[inside] == last[inside]).all()


def test_an_edit_of_the_whole_image_lies_under_the_others_wherever_it_stands():
    mug = thing(4, 4, 10, 10)
    assert painting_order([mug, WHOLE]) == [1, 0]
    assert painting_order([WHOLE, mug]) == [0, 1]
    for things, place in (([mug, WHOLE], 0), ([WHOLE, mug], 1)):
        assert ((owners(things) == place) == (mug > 0)).all()


def test_of_two_of_the_whole_image_the_later_has_it():
    assert (owners([WHOLE, WHOLE]) == 1).all()


def test_an_empty_thing_gets_nothing():
    nothing = np.zeros(SIZE, np.uint8)
    assert (owners([nothing, thing(0, 0, 2, 2), nothing]) == 1).all()
