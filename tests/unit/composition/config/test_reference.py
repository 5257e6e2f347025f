"""docs/configuration.md is what the configuration's tree says, key by key."""

from __future__ import annotations

from pathlib import Path

from composition.config import load_config
from composition.config.reference import comments_of, reference, variable_of

ROOT = Path(__file__).parents[4]


def test_the_page_is_current():
    made = reference((ROOT / "config.yaml").read_text(encoding="utf-8"))
    assert made == (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8"), "run: make docs"


def test_a_row_has_values_default_and_the_comment_of_config_yaml():
    made = reference("models:\n  controlnet:\n    max_loaded: 2 # so many stay\n")
    (row,) = (line for line in made.splitlines() if line.startswith("| `models.controlnet.max_loaded`"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:] == ["whole number, at least 1", "2", "so many stay"]


def test_a_variable_as_it_is_shown_sets_the_key():
    name = variable_of("models.controlnet.max_loaded")
    assert load_config(environment={name: "7"}, packed=None).models.controlnet.max_loaded == 7


def test_comments_belong_to_their_key_and_not_to_one_of_the_same_name_elsewhere():
    assert comments_of("a:\n  x: 1 # one\nb:\n  c:\n    x: 2 # two\n  y: 3\n") == {"a.x": "one", "b.c.x": "two"}
