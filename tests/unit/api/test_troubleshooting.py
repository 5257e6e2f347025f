"""docs/troubleshooting.md has an entry for every code that a caller can be answered, and for no other."""

from __future__ import annotations

import re
from pathlib import Path

from composition.errors import CompositionError, _subclasses

PAGE = Path(__file__).parents[3] / "docs" / "troubleshooting.md"


def entries() -> dict[str, str]:
    parts = re.split(r"^## (\w+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def statuses() -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for error in (CompositionError, *_subclasses(CompositionError)):
        if "code" in vars(error):
            found.setdefault(error.code, set()).add(error.status)
    return found


def test_every_code_has_an_entry_and_every_entry_a_code():
    assert entries().keys() == statuses().keys()


def test_an_entry_says_the_status_and_what_to_do():
    for code, text in entries().items():
        said = {int(number) for number in re.findall(r"\b[45]\d\d\b", text)}
        assert statuses()[code] <= said, code
        assert len(text.split()) >= 12, code
