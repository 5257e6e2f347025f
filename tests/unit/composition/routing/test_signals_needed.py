from __future__ import annotations

from composition.config import RoutingConfig
from composition.request import EditOptions, PipelineChoice
from composition.routing import Router, SignalsNeeded

ROUTER = Router(RoutingConfig())


def test_an_open_question_needs_every_signal():
    needed = ROUTER.needs("replace the mug with a teapot", EditOptions())
    assert needed == SignalsNeeded(objects=True, reference=True, prompt=True)


def test_words_that_settle_it_make_clips_opinion_of_the_prompt_needless():
    assert ROUTER.needs("blue mug", EditOptions()) == SignalsNeeded(objects=True, reference=True, prompt=False)
    assert ROUTER.needs("replace the sofa", EditOptions()) == SignalsNeeded(objects=True, reference=True, prompt=False)


def test_trying_on_needs_only_the_people():
    assert ROUTER.needs("wearing this jacket", EditOptions()) == SignalsNeeded(
        objects=True, reference=False, prompt=False
    )


def test_forced_edits_still_need_the_people_for_their_controls():
    assert ROUTER.needs("blue mug", EditOptions(force_controlnet=True)).objects
    assert ROUTER.needs("blue mug", EditOptions(control_types=("pose",))).objects
    assert not ROUTER.needs("blue mug", EditOptions(control_types=("depth",))).objects


def test_a_requested_simple_edit_needs_nothing():
    assert ROUTER.needs("blue mug", EditOptions(pipeline=PipelineChoice.SIMPLE)) == SignalsNeeded(
        objects=False, reference=False, prompt=False
    )


def test_a_garment_or_the_background_needs_the_people_whatever_the_pipeline():
    simple = EditOptions(pipeline=PipelineChoice.SIMPLE)
    assert ROUTER.needs("wearing a hat", simple).objects
    assert ROUTER.needs("replace the background with a beach", simple).objects


def test_without_automatic_routing_nothing_is_asked_of_clip():
    router = Router(RoutingConfig(enable_auto_routing=False))
    assert router.needs("replace the mug with a teapot", EditOptions()) == SignalsNeeded(
        objects=False, reference=False, prompt=False
    )
