"""Full stops, slashes and colons inside words end no sentence."""

from __future__ import annotations

import pytest

from prompt_reading.grammar.vocabulary import normalise, tokenise
from prompt_reading.reader import GrammarPromptReader

READER = GrammarPromptReader()


@pytest.mark.parametrize(
    ("prompt", "phrase", "paint"),
    [
        ("swap the engine for a 3.6-litre V6", "engine", "a 3.6-litre v6"),
        ("replace the screen with a 27.5 inch monitor", "screen", "a 27.5 inch monitor"),
        ("replace the tractor with a U.S.A. flag", "tractor", "a u.s.a. flag"),
        ("replace the book with a T. S. Eliot novel", "book", "a t. s. eliot novel"),
        ("replace the soda with a Dr. Pepper can", "soda", "a dr. pepper can"),
        ("replace the statue with St. George and a dragon", "statue", "st. george and a dragon"),
        ("replace the perfume with bottle no. 5", "perfume", "bottle no. 5"),
        ("replace the diploma with a Ph.D. certificate", "diploma", "a ph.d. certificate"),
        ("replace the poster with an example.com banner", "poster", "an example.com banner"),
        ("replace the crowd with 1,500 balloons", "crowd", "1,500 balloons"),
        ("replace the screen with a 16:9 display", "screen", "a 16:9 display"),
    ],
)
def test_a_word_with_a_full_stop_goes_on_and_keeps_its_spelling(prompt, phrase, paint):
    reading = READER.read(prompt)
    assert (reading.target.phrase, reading.generation_prompt, tuple(other.asked for other in reading.others)) == (
        phrase,
        paint,
        (),
    )


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("f/2.8, ISO 100", ["f/2.8", ",", "iso", "100"]),
        ("a D.I.Y. shelf", ["a", "d.i.y.", "shelf"]),
        ("w/o people, w/ trees", ["without", "people", ",", "with", "trees"]),
        ("red.then blue", ["red", ".", "then", "blue"]),
        ("in 1920. Make", ["in", "1920", ".", "make"]),
        ("my_logo.png here", ["my_logo.png", "here"]),
        ("½ cup", ["1/2", "cup"]),
    ],
)
def test_tokens_hold_the_marks_that_belong_to_them(text, tokens):
    assert tokenise(normalise(text)) == tokens


@pytest.mark.parametrize(
    "prompt",
    ["give the car plate B. Remove the sign", "paint the flag for the U.S. Remove the sign", "a car. Remove it."],
)
def test_a_full_stop_before_an_instruction_ends_the_sentence(prompt):
    tokens = tokenise(normalise(prompt))
    assert tokens[tokens.index("remove") - 1] == "."


def test_camera_settings_are_tags_and_no_part_of_the_thing():
    reading = READER.read("a photo of a green boat, f/1.4, ISO 200, 1/250 s")
    assert reading.target.phrase == "boat"
    assert reading.generation_prompt == "photo of a green boat, f/1.4, iso 200, 1/250 s"


def test_tags_in_front_are_put_behind():
    reading = READER.read("best quality, 8k, purple door")
    assert (reading.target.phrase, reading.generation_prompt) == ("door", "purple door, best quality, 8k")


@pytest.mark.parametrize(
    ("prompt", "phrase", "paint"),
    [
        ("make the lamp 2.5 times bigger", "lamp", "bigger lamp"),
        ("make the wall three shades lighter", "wall", "lighter wall"),
        ("make the scarf 50% wool", "scarf", "50% wool scarf"),
    ],
)
def test_an_amount_is_no_part_of_the_name(prompt, phrase, paint):
    reading = READER.read(prompt)
    assert (reading.target.phrase, reading.generation_prompt) == (phrase, paint)
