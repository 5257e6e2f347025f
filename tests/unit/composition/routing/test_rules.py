"""One test and more per row of the rule table, in its order."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from composition.decision import Pipeline, ReferenceKind
from composition.request import EditOptions, PipelineChoice
from composition.routing.rules import RULES

DOCUMENTATION = Path(__file__).parents[4] / "docs" / "routing.md"
POSE, DEPTH = "pose", "depth"


def test_the_rules_stand_in_the_order_of_the_design():
    assert [rule.name for rule in RULES] == [
        "forced",
        "requested",
        "try_on",
        "human",
        "clothing_reference",
        "appearance",
        "structural_object",
        "structural_clip",
        "default",
    ]


def test_the_documentation_has_the_rules_in_their_order():
    table = DOCUMENTATION.read_text(encoding="utf-8").partition("| rule | holds when")[2].partition("\n\n")[0]
    assert re.findall(r"^\| (\w+) \|", table, re.MULTILINE) == [rule.name for rule in RULES]


def test_force_controlnet_takes_the_complex_pipeline(decide):
    decision = decide("blue car", options=EditOptions(force_controlnet=True))
    assert (decision.pipeline, decision.rule) == (Pipeline.COMPLEX, "forced")
    assert decision.controls == {DEPTH: 0.8}
    assert decision.keeps_shape
    assert decision.recolour


def test_control_types_take_the_complex_pipeline_and_are_taken_as_they_are(decide):
    decision = decide("golden mug", options=EditOptions(control_types=(POSE,)), objects={"car": 0.9})
    assert (decision.pipeline, decision.rule) == (Pipeline.COMPLEX, "forced")
    assert decision.controls == {POSE: 1.0}


def test_both_control_types_together_weigh_less(decide):
    decision = decide("golden mug", options=EditOptions(control_types=(DEPTH, POSE)))
    assert decision.controls == {POSE: 0.8, DEPTH: 0.5}


def test_forcing_overrides_pipeline_simple(decide):
    decision = decide("blue car", options=EditOptions(pipeline=PipelineChoice.SIMPLE, force_controlnet=True))
    assert (decision.pipeline, decision.rule) == (Pipeline.COMPLEX, "forced")


@pytest.mark.parametrize("choice", [PipelineChoice.SIMPLE, PipelineChoice.COMPLEX])
def test_a_requested_pipeline_is_taken(decide, choice):
    decision = decide("person wearing a hat", options=EditOptions(pipeline=choice))
    assert (decision.pipeline.value, decision.rule) == (choice.value, "requested")
    assert bool(decision.controls) is (choice is PipelineChoice.COMPLEX)
    assert not decision.warnings


@pytest.mark.parametrize(
    "prompt",
    [
        "try on this dress",
        "try this dress on",
        "put on these boots",
        "put these boots on",
        "put this hat on me",
        "wearing this jacket",
        "she wears a scarf",
        "dressed in a tuxedo",
        "show me in these jeans",
        "a woman by the window",
        "the man's shirt in blue",
    ],
)
def test_try_on_words_and_people_take_the_complex_pipeline(decide, prompt):
    decision = decide(prompt)
    assert (decision.pipeline, decision.rule) == (Pipeline.COMPLEX, "try_on")
    assert POSE in decision.controls


def test_a_human_in_the_picture_takes_the_complex_pipeline(decide):
    decision = decide("make the shirt green", objects={"person": 0.71})
    assert (decision.pipeline, decision.rule) == (Pipeline.COMPLEX, "human")
    assert decision.controls == {POSE: 1.0}


def test_a_human_at_the_threshold_does_not_count(decide):
    assert decide("make the shirt green", objects={"person": 0.7}).rule == "appearance"


def test_a_human_and_a_vehicle_target_take_both_controls(decide):
    decision = decide("replace the car with a truck", objects={"person": 0.9, "car": 0.9})
    assert decision.controls == {POSE: 0.8, DEPTH: 0.5}


def test_a_clothing_reference_takes_the_complex_pipeline(decide):
    decision = decide("use this", reference={ReferenceKind.GARMENT: 0.8, ReferenceKind.OBJECT: 0.2})
    assert (decision.pipeline, decision.rule) == (Pipeline.COMPLEX, "clothing_reference")


def test_garments_and_accessories_count_together_as_clothing(decide):
    decision = decide("use this", reference={ReferenceKind.GARMENT: 0.4, ReferenceKind.ACCESSORY: 0.4})
    assert decision.rule == "clothing_reference"


@pytest.mark.parametrize(
    "prompt", ["blue car", "table with marble texture", "cartoon style", "make the van matte black"]
)
def test_a_change_of_looks_only_takes_the_simple_pipeline(decide, prompt):
    decision = decide(prompt, objects={"car": 0.95}, clip=0.99)
    assert (decision.pipeline, decision.rule) == (Pipeline.SIMPLE, "appearance")
    assert decision.controls == {}
    assert decision.keeps_shape


@pytest.mark.parametrize("prompt", ["car with these sport rims", "replace the sofa with a leather one", "new wheels"])
def test_vehicle_and_furniture_words_take_the_complex_pipeline(decide, prompt):
    decision = decide(prompt)
    assert (decision.pipeline, decision.rule) == (Pipeline.COMPLEX, "structural_object")
    assert decision.controls == {DEPTH: 0.8}


def test_a_vehicle_in_the_picture_takes_the_complex_pipeline(decide):
    assert decide("replace the window", objects={"truck": 0.71}).rule == "structural_object"
    assert decide("replace the window", objects={"truck": 0.7}).rule == "default"


def test_clip_takes_the_complex_pipeline_when_it_is_sure(decide):
    decision = decide("something with more horsepower", clip=0.71)
    assert (decision.pipeline, decision.rule, dict(decision.controls)) == (
        Pipeline.COMPLEX,
        "structural_clip",
        {DEPTH: 0.8},
    )
    assert decide("something with more horsepower", clip=0.7).rule == "default"


def test_everything_else_takes_the_simple_pipeline(decide):
    decision = decide("replace the mug with a glass teapot")
    assert (decision.pipeline, decision.rule, dict(decision.controls)) == (Pipeline.SIMPLE, "default", {})


def test_a_decision_accounts_for_every_signal_in_json(decide):
    decision = decide(
        "replace the sofa", objects={"person": 0.42, "bus": 0.61}, reference={ReferenceKind.TEXTURE: 0.9}, clip=0.5
    )
    account = json.loads(json.dumps(decision.signals))
    assert account["human"] == 0.42
    assert account["vehicle"] == 0.61
    assert account["reference"] == {"texture": 0.9}
    assert account["prompt_structural"] == 0.5
    assert account["structural_words"] == ["sofa"]
    assert account["objects"] == [{"label": "person", "score": 0.42}, {"label": "bus", "score": 0.61}]
    assert account["threshold"] == 0.7
    assert "sofa" in decision.reason


def test_the_default_says_why_it_was_taken(decide):
    assert decide("something nice").reason == "nothing asks for structure control"
