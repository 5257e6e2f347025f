"""The router decides on what any reader understands, in any language."""

from __future__ import annotations

import logging

from composition.config import ComplexTriggers, RoutingConfig
from composition.decision import Pipeline, Signals, Target
from composition.reading import Reading
from composition.request import EditOptions
from composition.routing import Router
from tests.fakes.fake_prompt_reader import FakePromptReader

NOTHING = Reading(target=Target(phrase="Becher"), generation_prompt="eine Kanne")


def decided(reading, config=None, options=None):
    options = options or EditOptions()
    router = Router(config or RoutingConfig(), FakePromptReader(reading))
    return router.decide(
        router.read("ersetze den Becher", options), options=options, signals=Signals(), has_reference=False
    )


def test_a_reading_without_marks_takes_the_default_and_its_words_are_passed_on():
    decision = decided(NOTHING)
    assert (decision.pipeline, decision.rule) == (Pipeline.SIMPLE, "default")
    assert (decision.target.phrase, decision.generation_prompt) == ("Becher", "eine Kanne")
    assert decision.warnings == ()


def test_try_on_words_of_a_reading_take_its_rule_and_pose():
    decision = decided(Reading(target=Target(), generation_prompt="Mann mit Jacke", try_on_words=("anprobieren",)))
    assert (decision.rule, dict(decision.controls)) == ("try_on", {"pose": 1.0})
    assert "anprobieren" in decision.reason


def test_structural_words_and_targets_of_a_reading_take_their_rule_and_depth():
    reading = Reading(
        target=Target(phrase="Auto"), generation_prompt="ein Bus", structural_words=("auto",), structural_target=True
    )
    decision = decided(reading)
    assert (decision.rule, dict(decision.controls)) == ("structural_object", {"depth": 0.8})
    assert decision.signals["structural_words"] == ["auto"]


def test_an_appearance_reading_keeps_the_shape():
    decision = decided(
        Reading(target=Target(phrase="Auto"), generation_prompt="blaues Auto", appearance_only=True, recolour=True)
    )
    assert (decision.rule, decision.keeps_shape, decision.recolour) == ("appearance", True, True)


def test_a_reading_says_what_was_left_out_and_what_the_models_do_not_read():
    reading = Reading(
        target=Target(),
        generation_prompt="rot",
        english=False,
        others=tuple(
            Reading(target=Target(), generation_prompt="", asked=text) for text in ("entferne den Hut", "ein Hund")
        ),
        dropped=("<b>",),
    )
    english, edits, markup = decided(reading).warnings
    assert "does not look English" in english
    assert edits == "only the first of 3 edits is done; left out: entferne den Hut; ein Hund"
    assert markup.endswith("left out of the prompt: <b>")


def test_the_reader_is_given_target_and_the_keywords_that_it_does_not_know(caplog):
    reader = FakePromptReader(known=["car"])
    config = RoutingConfig(complex_triggers=ComplexTriggers(keywords=("car", "grand piano")))
    with caplog.at_level(logging.WARNING):
        router = Router(config, reader)
    router.read("paint it", EditOptions(target="the lid"))
    assert reader.asked == [("paint it", "the lid", ("grand piano",))]
    assert [record.getMessage() for record in caplog.records] == [
        "routing.complex_triggers.keywords: built in already, listing them changes nothing: car"
    ]


def test_a_keyword_that_the_reader_found_takes_the_complex_pipeline():
    decision = decided(Reading(target=Target(), generation_prompt="x", keywords=("grand piano",)))
    assert (decision.pipeline, decision.rule) == (Pipeline.COMPLEX, "structural_object")
    assert decision.signals["structural_words"] == ["grand piano"]
