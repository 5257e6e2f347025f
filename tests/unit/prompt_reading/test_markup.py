"""Markup of other tools is no word of the edit, and nothing of it vanishes unsaid."""

from __future__ import annotations

import pytest

from prompt_reading.grammar.markup import strip_markup
from prompt_reading.reader import GrammarPromptReader

READER = GrammarPromptReader()


@pytest.mark.parametrize(
    ("prompt", "dropped"),
    [
        ("green boat <lora:shine:0.5>", ("<lora:shine:0.5>",)),
        ("<hypernet:abc:1> green boat", ("<hypernet:abc:1>",)),
        ("<p class='x'>green boat</p><br/>", ("<p class='x'>", "</p>", "<br/>")),
        ("green boat --ar 16:9 --stylize 250 --tile", ("--ar 16:9", "--stylize 250", "--tile")),
        ("green boat —ar 2:3", ("—ar 2:3",)),
        ("(green:1.3) boat", ("(green:1.3)",)),
        ("green [boat]", ("[]",)),
        ("green ((boat))", ("()",)),
        ("**green** boat", ("**",)),
        ("green boat BREAK", ("BREAK",)),
        ("green boat embedding:EasyNegative", ("embedding:EasyNegative",)),
        ("green boat\nSteps: 20, Sampler: Euler a, Seed: 5", ("Steps: 20, Sampler: Euler a, Seed: 5",)),
        ("green++ boat", ("++",)),
    ],
)
def test_markup_is_dropped_and_named(prompt, dropped):
    reading = READER.read(prompt)
    assert (reading.target.phrase, reading.generation_prompt.rstrip(", ")) == ("boat", "green boat")
    assert reading.dropped == dropped


@pytest.mark.parametrize(
    "prompt",
    [
        "Edit: green boat",
        'Prompt: "green boat"',
        "/imagine prompt: green boat",
        "3. green boat",
        "2) green boat",
        "- green boat",
        "• green boat",
        "# green boat",
        "green\u200bboat",
        "\ufeffgreen boat",
        "Step 1: green boat",
        "> green boat",
    ],
)
def test_labels_numbers_and_zero_width_spaces_are_dropped_silently(prompt):
    reading = READER.read(prompt)
    assert (reading.target.phrase, reading.generation_prompt, reading.dropped) == ("boat", "green boat", ())


def test_what_markup_refuses_is_refused():
    assert READER.read("green boat --no people, birds --v 6").negative_terms == ("people", "birds")
    assert READER.read("green boat\nNegative prompt: text, people\nSteps: 5, Size: 8x8").negative_terms == (
        "text",
        "people",
    )


def test_the_items_of_a_list_are_edits():
    for prompt in ("1. make the boat green 2. remove the flag", "- make the boat green\n- remove the flag"):
        reading = READER.read(prompt)
        assert (reading.target.phrase, tuple(other.asked for other in reading.others)) == ("boat", ("remove the flag",))


def test_tags_in_brackets_are_tags():
    reading = READER.read("(masterpiece:1.4), green boat (best quality)")
    assert (reading.target.phrase, reading.generation_prompt) == ("boat", "green boat, masterpiece, best quality")


def test_of_alternatives_one_is_taken():
    assert READER.read("[green|red] boat").generation_prompt == "green boat"
    assert READER.read("[raft:boat:0.4] in green").generation_prompt == "boat in green"


@pytest.mark.parametrize(
    "prompt",
    ["make the wall #ff0000", "BREAK THE VASE", "a well-worn R&D sign", "10-12 mugs", "a mug + a jug", "it's 5 < 6"],
)
def test_what_only_looks_like_markup_stays(prompt):
    plain = strip_markup(prompt)
    assert (plain.text, plain.dropped, plain.refused) == (prompt, (), ())


@pytest.mark.parametrize(
    "prompt", ["(" * 500, "((((a:1)" * 99, "<" * 900, "[a|" * 300 + "]", "--no " * 200, "*_`" * 300]
)
def test_broken_markup_gives_a_reading(prompt):
    assert READER.read(prompt).generation_prompt
