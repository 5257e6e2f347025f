"""docs/api.md says of every option what its definition says."""

from __future__ import annotations

import re
from enum import EnumType
from pathlib import Path

import pytest

from composition.request import OPTIONS

ROWS = re.findall(
    r"^\| `config\.(\w+)` \| (.*) \| (.*) \|$",
    (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)
VALUES = {name: values for name, values, _ in ROWS}
DEFAULTS = {name: default for name, _, default in ROWS}
NOT_FIXED = ("none", "random", "by rule")


def test_the_table_has_every_option_in_the_order_of_the_definitions():
    assert [name for name, _, _ in ROWS] == list(OPTIONS)


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_the_table_has_the_default_of_the_definition(option):
    if option.default is None:
        assert DEFAULTS[option.name] in NOT_FIXED
    elif isinstance(option.type, EnumType):
        assert DEFAULTS[option.name] == f"`{option.default.value}`"
    else:
        assert DEFAULTS[option.name] == str(option.default).lower()


@pytest.mark.parametrize(
    "option", [option for option in OPTIONS.values() if "ge" in option.bounds], ids=lambda option: option.name
)
def test_the_table_has_the_range_of_the_definition(option):
    least, greatest = re.match(r"(-?[\d.]*\d)(?: \(random\))?\.\.([\d.]*\d)", VALUES[option.name]).groups()
    assert (float(least), float(greatest)) == (option.bounds["ge"], option.bounds["le"])


@pytest.mark.parametrize(
    "option", [o for o in OPTIONS.values() if isinstance(o.type, EnumType)], ids=lambda option: option.name
)
def test_the_table_has_every_choice_of_the_definition(option):
    assert re.findall(r"`(\w+)`", VALUES[option.name]) == [choice.value for choice in option.type]


@pytest.mark.parametrize(
    ("name", "unit"), [("target", "characters"), ("control_types", "entries"), ("loras", "entries")]
)
def test_the_table_has_the_length_of_the_definition(name, unit):
    bounds = OPTIONS[name].bounds
    expected = (
        f"{bounds['min_length']}..{bounds['max_length']}"
        if "min_length" in bounds
        else f"at most {bounds['max_length']}"
    )
    assert f"{expected} {unit}" in VALUES[name]
