"""Where something is put on a side of the image: its third, from edge to edge."""

from __future__ import annotations

import pytest

from composition.decision import Position, Target
from tests.unit.composition.masking.test_edit_mask import extent, mask_of


@pytest.mark.parametrize(
    ("position", "columns"),
    [(Position.LEFT, (0, 133)), (Position.MIDDLE, (133, 267)), (Position.RIGHT, (267, 400))],
)
async def test_a_named_side_is_its_third_of_the_image(position, columns):
    made = await mask_of(Target(position=position))
    x0, y0, x1, y1 = extent(made.thing)
    assert (y0, y1) == (0, 300)
    assert (x0, x1) == (pytest.approx(columns[0], abs=1), pytest.approx(columns[1], abs=1))
