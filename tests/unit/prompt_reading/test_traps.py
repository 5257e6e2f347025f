"""Words that only look like a rule's words."""

from __future__ import annotations

import pytest

from composition.decision import Pipeline


@pytest.mark.parametrize(
    "prompt",
    [
        "replace the carpet with tiles",
        "replace the cartridge with a film roll",
        "replace the cargo box with a suitcase",
        "replace the scarecrow with a statue",
        "a personalised birthday card",
        "add a personal note to the card",
        "a scary pumpkin",
        "redwood forest instead of the city",
        "swap the blueberries for strawberries",
        "replace the record player with a radio",
        "put a candle on the windowsill",
        "put a candle on",
        "remove the snowman",
        "replace the mannequin with a statue",
        "a couple of lanterns",
        "remove the ferris wheel",
        "replace the tablet with a notebook",
        "swap the chairlift for a cable",
        "manhole cover",
        "a human skull",
        "a table runner",
        "tin soldiers",
        "baby elephant",
    ],
)
def test_words_match_as_whole_words(decide, prompt):
    decision = decide(prompt)
    assert (decision.pipeline, decision.rule) == (Pipeline.SIMPLE, "default")


@pytest.mark.parametrize("prompt", ["cartoon style", "persian carpet with a floral pattern", "scarlet curtains"])
def test_words_inside_other_words_leave_an_appearance_edit_one(decide, prompt):
    assert decide(prompt).rule == "appearance"


def test_blackberries_are_no_colour(decide):
    assert decide("blackberries").rule == "default"


def test_upper_case_reads_like_lower_case(decide):
    decision = decide("REPLACE THE MUG WITH A GLASS TEAPOT")
    assert (decision.target.phrase, decision.generation_prompt) == ("mug", "a glass teapot")


def test_extra_spaces_and_line_ends_are_ignored(decide):
    decision = decide("  make \t the   car\n red  ")
    assert (decision.target.phrase, decision.generation_prompt) == ("car", "red car")


def test_typographic_quotes_and_apostrophes_are_read(decide):
    assert decide("make the “front door” blue").target.phrase == "front door"
    assert decide("make the man’s shirt blue").target.phrase == "shirt"
    assert decide("I’d like the sofa in leather").generation_prompt == "sofa in leather"


def test_an_orange_is_a_fruit_and_orange_is_a_colour(decide):
    assert decide("replace the apple with an orange").rule == "default"
    assert decide("change the bowl to orange").rule == "appearance"
    assert decide("change the bowl to an orange").rule == "default"


def test_a_tank_top_is_no_tank_and_a_boat_is_one(decide):
    assert decide("replace the tank top").target.region == "upper"
    assert decide("replace the tank top").rule == "default"
    assert decide("replace the boat").rule == "structural_object"


def test_worn_leather_is_a_look_and_worn_clothes_are_worn(decide):
    assert decide("a worn leather suitcase").rule == "appearance"
    assert decide("she wears leather boots").rule == "try_on"


def test_a_model_train_is_no_model_and_a_model_is_one(decide):
    assert decide("replace the model train with a robot").rule == "structural_object"
    assert decide("the model by the window").rule == "try_on"


def test_food_named_for_a_colour_is_food(decide):
    assert decide("lemon tart").rule == "default"
    assert decide("lemon yellow tart").rule == "appearance"
    assert decide("cream curtains").rule == "appearance"


@pytest.mark.parametrize(
    "prompt", ["wearing this jacket", "put on this jacket", "a lady by the window", "in this coat"]
)
def test_the_reason_quotes_the_words_that_decided(decide, prompt):
    decision = decide(prompt)
    assert all(word in prompt for word in decision.signals["try_on_words"])
    assert decision.signals["try_on_words"][0] in decision.reason


@pytest.mark.parametrize("thing", ["a zebra", "a leopard", "a glass", "an iron", "a lemon"])
def test_a_thing_named_like_a_look_is_a_thing_behind_its_article(decide, thing):
    decision = decide(f"turn the cup into {thing}")
    assert (decision.rule, decision.generation_prompt) == ("default", thing)
    assert decide(thing).rule == "default"
