"""The gallery of `make demo`: the page's parts, and what they show as JSON inside one file."""

from __future__ import annotations

import json
import re

from benchmarks.demo_gallery import EMPTY_GALLERY, filled

DATA = re.compile(r'<script type="application/json" id="shown">(.*?)</script>', re.DOTALL)


def test_the_built_gallery_holds_its_script_and_style_and_loads_nothing():
    empty = EMPTY_GALLERY.read_text(encoding="utf-8")
    outside_scripts = re.sub(r"<(script|style)\b[^>]*>.*?</\1>", r"<\1>", empty, flags=re.DOTALL)
    assert re.findall(r"(?:src|href)=", outside_scripts) == []
    assert re.findall(r"<script[^>]*\bsrc=", empty) == []
    assert outside_scripts.count("<script>") == 2


def test_no_text_of_a_case_ends_the_script_that_holds_it():
    shown = {"notice": "</script><script>alert(1)</script><!--", "cases": []}
    page = filled(EMPTY_GALLERY.read_text(encoding="utf-8"), shown)
    (data,) = DATA.findall(page)
    assert json.loads(data) == shown
    assert "alert(1)</script>" not in page
