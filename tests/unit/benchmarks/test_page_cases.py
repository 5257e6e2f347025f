"""The page's examples are edits that `make demo` runs, pixel by pixel; photographs as near as a small file has them."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from benchmarks.demo_cases import photo_recolours, world_cases
from benchmarks.page_cases import FOLDER, INDEX, PHOTOGRAPH, page_cases


def test_the_examples_are_those_of_the_demo_as_its_world_paints_them():
    index, images = page_cases()
    assert json.loads((FOLDER / INDEX).read_text(encoding="utf-8")) == index
    expected = world_cases() + [case for case in photo_recolours() if case.mask is None]
    assert [entry["prompt"] for entry in index] == [case.prompt for case in expected]
    assert len(expected) == 5
    assert {path.name for path in FOLDER.iterdir()} == {INDEX, *images}
    for name, pixels in images.items():
        with Image.open(FOLDER / name) as image:
            off = np.abs(np.asarray(image.convert("RGB")).astype(int) - pixels)
        assert off.mean() < 3.0 if name.endswith(PHOTOGRAPH) else not off.any(), name
