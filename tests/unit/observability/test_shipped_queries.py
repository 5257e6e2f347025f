"""The dashboard and the alert rules ask for series that there are, by labels that these have."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from benchmarks.observe import SHIPPED, names_in, queries, rules
from tests.unit.observability.test_documented_series import described, every_series

SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}
GROUPING = re.compile(r"\bby \(([^)]*)\)|\{([^}]*)\}")


def exposed() -> dict[str, set[str]]:
    """Every name that a scrape can have, with its labels."""
    found = {}
    for name, kind, labels, _ in described(every_series()):
        for suffix in SUFFIXES[kind]:
            found[name + suffix] = set(re.findall(r"\w+", labels)) | ({"le"} if suffix == "_bucket" else set())
    return found


@pytest.mark.parametrize(("title", "expression"), [*queries(), *rules()])
def test_a_query_names_series_and_labels_that_there_are(title: str, expression: str):
    names = names_in(expression)
    assert names <= exposed().keys(), title
    assert names or expression.startswith("up{"), title
    known = {"job"} if not names else set().union(*(exposed()[name] for name in names))
    for groups, selector in GROUPING.findall(expression):
        asked = set(re.findall(r"\w+", groups)) | set(re.findall(r"(\w+)\s*[=!]", selector))
        assert asked <= known, title


def test_every_series_of_an_edit_s_way_is_on_the_dashboard():
    shown = {name for _, expression in queries() for name in names_in(expression)}
    documented = {name for name, _, _, _ in described(every_series())}
    unseen = {name for name in documented if not any(one.startswith(name) for one in shown)}
    assert unseen == {"composition_http_requests_in_progress", "composition_runner_failures_total"}


def test_every_alert_says_what_to_do():
    groups = yaml.safe_load((SHIPPED / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        assert rule["annotations"].keys() == {"summary", "action"}, rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]


def test_panels_have_numbers_and_places_of_their_own():
    panels = json.loads((SHIPPED / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len({panel["id"] for panel in panels}) == len(panels) == len(set(places))
    assert Path(SHIPPED / "README.md").exists()
