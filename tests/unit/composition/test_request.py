"""The options of a request."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from composition.request import OPTIONS

SOURCE = Path(__file__).parents[3] / "composition"


def attributes_of_options(path: Path) -> set[str]:
    """What a module takes from something called options: `options.seed`, `request.options.crop`."""
    nodes = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Attribute))
    return {node.attr for node in nodes if ast.unparse(node.value).split(".")[-1] == "options"}


READ = set().union(*(attributes_of_options(path) for path in SOURCE.rglob("*.py")))


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_read_by_somebody(name):
    assert name in READ


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_a_default_lies_within_its_own_range(option):
    if option.default is not None and "ge" in option.bounds:
        assert option.bounds["ge"] <= option.default <= option.bounds["le"]
