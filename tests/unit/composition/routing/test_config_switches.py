from __future__ import annotations

import pytest

from composition.config import ComplexTriggers, RoutingConfig
from composition.decision import Pipeline, ReferenceKind
from composition.request import EditOptions, PipelineChoice


def triggers(**changes: object) -> RoutingConfig:
    return RoutingConfig(complex_triggers=ComplexTriggers(**changes))


def test_without_automatic_routing_the_default_pipeline_is_taken(decide):
    config = RoutingConfig(enable_auto_routing=False)
    decision = decide("person wearing a hat", config=config, objects={"person": 0.99}, clip=0.99)
    assert (decision.pipeline, decision.rule) == (Pipeline.SIMPLE, "default")
    assert decision.target.region == "head"
    assert "switched off" in decision.reason


def test_without_automatic_routing_a_request_still_decides(decide):
    config = RoutingConfig(enable_auto_routing=False)
    assert decide("blue car", config=config, options=EditOptions(force_controlnet=True)).rule == "forced"
    assert decide("blue car", config=config, options=EditOptions(pipeline=PipelineChoice.COMPLEX)).rule == "requested"


def test_the_default_pipeline_may_be_complex(decide):
    config = RoutingConfig(default_pipeline="complex")
    decision = decide("replace the mug with a teapot", config=config)
    assert (decision.pipeline, decision.rule) == (Pipeline.COMPLEX, "default")
    assert decision.controls
    assert decide("golden mug", config=config).pipeline is Pipeline.SIMPLE


def test_a_configured_keyword_takes_the_complex_pipeline(decide):
    config = triggers(keywords=("Grand Piano",))
    assert decide("replace the grand piano with a harp", config=config).rule == "structural_object"
    assert decide("replace the grand pianola with a harp", config=config).rule == "default"
    assert decide("replace the grand piano with a harp").rule == "default"


def test_a_keyword_is_found_whatever_its_punctuation(decide):
    config = triggers(keywords=("grand-piano", "Rock'n'Roll"))
    assert decide("replace the grand piano with a harp", config=config).rule == "structural_object"
    assert decide("a rock'n'roll poster", config=config).rule == "structural_object"


def test_keywords_of_the_specification_change_nothing_and_are_named_in_the_log(decide, caplog):
    config = triggers(keywords=("try on", "wearing", "person", "car", "vehicle"))
    for prompt in ("wearing this jacket", "replace the car", "blue car", "replace the mug with a teapot"):
        assert decide(prompt, config=config) == decide(prompt)
    assert "built in already, listing them changes nothing: try on, wearing, person, car, vehicle" in caplog.text


def test_the_default_configuration_logs_nothing(decide, caplog):
    decide("blue car")
    assert caplog.text == ""


def test_no_keywords_leave_the_built_in_words(decide):
    config = triggers(keywords=())
    assert decide("wearing this jacket", config=config).rule == "try_on"
    assert decide("replace the car", config=config).rule == "structural_object"


def test_detect_humans_can_be_switched_off(decide):
    decision = decide("swap the handbag for a backpack", config=triggers(detect_humans=False), objects={"person": 0.99})
    assert (decision.rule, decision.signals["human"]) == ("default", 0.0)


def test_detect_vehicles_can_be_switched_off(decide):
    decision = decide("replace the window", config=triggers(detect_vehicles=False), objects={"car": 0.99})
    assert (decision.rule, decision.signals["vehicle"]) == ("default", 0.0)


@pytest.mark.parametrize(("threshold", "rule"), [(0.5, "human"), (0.6, "default"), (0.9, "default")])
def test_the_threshold_is_the_configured_one(decide, threshold, rule):
    config = RoutingConfig(routing_confidence_threshold=threshold)
    assert decide("swap the handbag for a backpack", config=config, objects={"person": 0.6}).rule == rule


def test_the_threshold_holds_for_the_reference_and_for_clip(decide):
    config = RoutingConfig(routing_confidence_threshold=0.9)
    assert decide("use this", config=config, reference={ReferenceKind.GARMENT: 0.85}).rule == "default"
    assert decide("more horsepower", config=config, clip=0.85).rule == "default"
