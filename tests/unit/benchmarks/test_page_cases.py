"""The page's examples are the edits that `make demo` runs, pixel by pixel."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from benchmarks.demo_cases import world_cases
from benchmarks.page_cases import FOLDER, INDEX, page_cases


def test_the_examples_are_those_of_the_demo_as_its_world_paints_them():
    index, images = page_cases()
    assert json.loads((FOLDER / INDEX).read_text(encoding="utf-8")) == index
    assert [entry["prompt"] for entry in index] == [case.prompt for case in world_cases()]
    assert {path.name for path in FOLDER.iterdir()} == {INDEX, *images}
    for name, pixels in images.items():
        with Image.open(FOLDER / name) as image:
            assert np.array_equal(np.asarray(image.convert("RGB")), pixels), name
