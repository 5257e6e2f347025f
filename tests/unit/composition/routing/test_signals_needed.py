from __future__ import annotations

from composition.config import RoutingConfig
from composition.request import EditOptions, PipelineChoice
from composition.routing import Router, SignalsNeeded
from prompt_reading.reader import GrammarPromptReader

ROUTER = Router(RoutingConfig(), GrammarPromptReader())


def needs(prompt, options, router=ROUTER):
    return router.needs(router.read(prompt, options), options)


def test_an_open_question_needs_every_signal():
    needed = needs("replace the mug with a teapot", EditOptions())
    assert needed == SignalsNeeded(objects=True, reference=True, prompt=True)


def test_words_that_settle_it_make_clips_opinion_of_the_prompt_needless():
    assert needs("blue mug", EditOptions()) == SignalsNeeded(objects=True, reference=True, prompt=False)
    assert needs("replace the sofa", EditOptions()) == SignalsNeeded(objects=True, reference=True, prompt=False)


def test_trying_on_needs_only_the_people():
    assert needs("wearing this jacket", EditOptions()) == SignalsNeeded(objects=True, reference=False, prompt=False)


def test_forced_edits_still_need_the_people_for_their_controls():
    assert needs("blue mug", EditOptions(force_controlnet=True)).objects
    assert needs("blue mug", EditOptions(control_types=("pose",))).objects
    assert not needs("blue mug", EditOptions(control_types=("depth",))).objects


def test_a_requested_simple_edit_needs_nothing():
    assert needs("blue mug", EditOptions(pipeline=PipelineChoice.SIMPLE)) == SignalsNeeded(
        objects=False, reference=False, prompt=False
    )


def test_a_garment_or_the_background_needs_the_people_whatever_the_pipeline():
    simple = EditOptions(pipeline=PipelineChoice.SIMPLE)
    assert needs("wearing a hat", simple).objects
    assert needs("replace the background with a beach", simple).objects


def test_without_automatic_routing_nothing_is_asked_of_clip():
    router = Router(RoutingConfig(enable_auto_routing=False), GrammarPromptReader())
    assert needs("replace the mug with a teapot", EditOptions(), router) == SignalsNeeded(
        objects=False, reference=False, prompt=False
    )
