"""The gallery of `make demo` in a browser, opened as a file: the page's slider, mask and words, and no server."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from PIL import Image

from benchmarks.demo_cases import Case
from benchmarks.demo_gallery import write_gallery
from tests.e2e.images import corner_mask, encoded
from tests.e2e.page.conftest import AXE

WIDTH, HEIGHT = 96, 64


def plain(*colour):
    return np.full((HEIGHT, WIDTH, 3), colour, np.uint8)


def result(rule):
    routing = {"pipeline": "simple", "rule": rule, "reason": "only a colour changes", "controls": {}, "target": None}
    metadata = {
        "routing": {**routing, "generation_prompt": "blue </script> car"},
        "detections": [{"label": "car", "score": 0.9, "box": [10, 10, 40, 40]}],
        "mask_area": 0.25,
        "warnings": ["a warning"],
    }
    return {
        "image": base64.b64encode(encoded(Image.fromarray(plain(0, 0, 200)), "png")).decode(),
        "mask": base64.b64encode(corner_mask(HEIGHT, WIDTH)).decode(),
        "pipeline_used": "simple",
        "models_used": ["yolox", "sd-inpainting"],
        "processing_time_ms": 1234,
        "metadata": metadata,
    }


@pytest.fixture
def gallery(visits, tmp_path):
    cases = [
        Case(name="8.3 colour change", prompt="<b>blue</b> car", base=plain(200, 0, 0), reference=plain(0, 0, 90)),
        Case(name="9.1 photograph", prompt="green suit", base=plain(200, 0, 0), mask=plain(0, 0, 0)[:, :, 0]),
    ]
    rows = [(case, result("appearance")) for case in cases]
    visit = visits(write_gallery(tmp_path / "out", rows, notice="painted on a CPU").as_uri())
    visit.page.goto(visit.url)
    return visit


def test_it_shows_every_case_without_a_server(gallery):
    page = gallery.page
    edits = page.get_by_role("article")
    assert edits.count() == 2
    first = edits.first
    assert first.get_by_text("“<b>blue</b> car”").is_visible()
    assert first.get_by_text("Only a colour changes.").is_visible()
    assert first.get_by_alt_text("The reference").is_visible()
    assert first.get_by_text("1.2 s").is_visible()
    assert page.get_by_text("the mask that was given").count() == 1
    shown = page.evaluate("() => [...document.images].map(({ complete, naturalWidth }) => complete && naturalWidth)")
    assert shown == [WIDTH] * 5
    assert all(request.url.startswith(("file:", "data:")) for request in gallery.asked)


def test_its_slider_and_its_mask_are_those_of_the_page(gallery):
    page = gallery.page
    edit = page.get_by_role("article").first
    slider = edit.get_by_role("slider", name="How much of the photo before the edit is shown")
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    assert slider.get_attribute("aria-valuetext") == "40 % before, 60 % after"
    assert edit.locator(".mask").count() == 0
    edit.get_by_role("button", name="Show what was changed").click()
    page.wait_for_function(
        """() => {
          const canvas = document.querySelector(".mask");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const alpha = data.filter((_, at) => at % 4 === 3);
          return alpha.some((value) => value === 255) && alpha.some((value) => value === 0);
        }"""
    )
    assert edit.locator(".frame.found").inner_text() == "car 90 %"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_it_and_a_phone_does_not_scroll_sideways(gallery, scheme):
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: cd page && npm ci")
    page = gallery.page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()  # judged as it is, not on its way from one scheme to the other
    assert page.evaluate("() => document.documentElement.scrollWidth") == 390
    assert gallery.serious() == []
