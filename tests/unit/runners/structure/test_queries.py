"""What may share a batch of the structure runner."""

from __future__ import annotations

import numpy as np
import pytest

from composition.errors import InvalidInput
from composition.images import Box
from runners.structure.queries import PoseQuery, has_usable_people, shape_of

IMAGE = np.zeros((40, 30, 3), np.uint8)


def person(x1: float) -> PoseQuery:
    return PoseQuery(image=IMAGE, people=(Box(x0=5, y0=5, x1=x1, y1=20),))


def test_all_people_with_an_area_may_share_a_batch():
    assert has_usable_people(person(9)) == has_usable_people(PoseQuery(image=IMAGE[:9], people=()))


def test_a_person_without_area_is_refused():
    with pytest.raises(InvalidInput, match="without area"):
        has_usable_people(person(5))


def test_only_images_of_one_size_share_a_depth_forward():
    assert shape_of(IMAGE) == shape_of(IMAGE.copy())
    assert shape_of(IMAGE) != shape_of(IMAGE.transpose(1, 0, 2))
