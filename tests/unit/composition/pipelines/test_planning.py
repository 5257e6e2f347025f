"""Every default, resolved: what the user says wins, what the edit is decides, the configuration fills the rest."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from composition.config import Config
from composition.decision import BodyRegion, Decision, Pipeline, Target
from composition.images import Box
from composition.marks import Point
from composition.pipelines.planning import MAX_SEED, make_plan
from composition.request import EditOptions, EditRequest, Keep, RefineMask, Speed

CLICK = (Point(3.0, 3.0),)
BOX = Box(x0=1.0, y0=1.0, x1=5.0, y1=5.0)
IMAGE = np.zeros((8, 8, 3), np.uint8)
MUG = Target(phrase="mug")


def decision_of(**known):
    base = {"pipeline": Pipeline.SIMPLE, "rule": "default", "reason": "", "target": MUG, "generation_prompt": "a mug"}
    return Decision(**{**base, **known})


def plan_of(*, config=None, negative_prompt=None, options=None, n=1, mask=None, **decision):
    request = EditRequest(
        base=IMAGE, prompt="x", negative_prompt=negative_prompt, n=n, mask=mask, options=EditOptions(**(options or {}))
    )
    return make_plan(request, decision_of(**decision), config or Config())


def config_of(**generation):
    return Config.model_validate({"generation": generation})


def test_nothing_is_left_to_guess():
    plan = plan_of()
    assert all(getattr(plan, item.name) is not None for item in fields(plan))
    assert (plan.num_inference_steps, plan.guidance_scale, plan.ip_adapter_scale) == (25, 7.5, 0.6)
    assert (plan.mask_dilation_px, plan.mask_blur_px, plan.strength) == (15, 21, 1.0)
    assert (plan.color_match, plan.sharpen, plan.prompt) == (True, False, "a mug")


def test_parts_are_kept_of_one_named_thing_that_keeps_its_shape():
    mug = Target(phrase="mug")
    assert plan_of(keeps_shape=True, target=mug).keep_parts
    assert not plan_of(target=mug).keep_parts
    assert not plan_of(keeps_shape=True, target=Target()).keep_parts
    assert not plan_of(keeps_shape=True, target=Target(phrase="background", complement=True)).keep_parts
    assert not plan_of(keeps_shape=True, target=mug, options={"keep_parts": Keep.OFF}).keep_parts
    assert not plan_of(config=config_of(appearance_keep_detail=False), keeps_shape=True, target=mug).keep_parts


def test_surroundings_are_kept_where_one_thing_takes_the_place_of_another():
    mug = Target(phrase="mug")
    assert plan_of(target=mug).keep_surroundings
    assert not plan_of(target=mug, keeps_shape=True).keep_surroundings
    assert not plan_of(target=mug, inserts=True).keep_surroundings, "what is added has no old silhouette"
    assert not plan_of(target=mug, removes=True).keep_surroundings, "what is taken away has no new one"
    assert not plan_of(target=mug, options={"refine_mask": RefineMask.ON}).keep_surroundings, "it has no box"
    assert not plan_of(target=Target()).keep_surroundings
    assert not plan_of(target=Target(phrase="background", complement=True)).keep_surroundings
    assert not plan_of(target=Target(phrase="shirt", region=BodyRegion.UPPER)).keep_surroundings
    assert not plan_of(target=mug, options={"keep_surroundings": Keep.OFF}).keep_surroundings


def test_the_default_negative_prompt_is_used_only_where_the_user_says_nothing():
    config = config_of(default_negative_prompt="blurry")
    assert plan_of(config=config).negative_prompt == "blurry"
    assert plan_of(config=config, negative_prompt="text").negative_prompt == "text"
    assert plan_of(config=config, negative_prompt="text", negative_terms=("sign",)).negative_prompt == "text, sign"
    assert plan_of(config=config, negative_terms=("sign",)).negative_prompt == "blurry, sign"
    assert plan_of(config=config_of(default_negative_prompt="")).negative_prompt == ""


@pytest.mark.parametrize("recolour", [True, False], ids=["colour", "material"])
def test_an_appearance_edit_starts_from_the_photograph_unless_the_user_gives_a_strength(recolour):
    look = {"keeps_shape": True, "recolour": recolour}
    config = config_of(appearance_strength=0.65)
    assert plan_of(config=config, **look).strength == 0.65
    assert plan_of(config=config, options={"strength": 0.3}, **look).strength == 0.3
    assert plan_of(config=config).strength == 1.0


def test_only_a_recolour_keeps_the_photographs_detail_and_only_if_configured():
    assert plan_of(keeps_shape=True, recolour=True).keep_light
    assert not plan_of(keeps_shape=True).keep_light
    assert not plan_of(config=config_of(appearance_keep_detail=False), keeps_shape=True, recolour=True).keep_light


def test_a_recolour_in_a_drawn_mask_is_painted_anew_as_only_its_colour_is_taken():
    drawn = {"mask": IMAGE[..., 0], "keeps_shape": True}
    plan = plan_of(recolour=True, **drawn)
    assert (plan.drawn, plan.strength) == (True, 1.0)
    assert plan_of(recolour=True, options={"strength": 0.4}, **drawn).strength == 0.4
    without_detail = config_of(appearance_keep_detail=False)
    for other in (plan_of(**drawn), plan_of(recolour=True, config=without_detail, **drawn)):
        assert (other.drawn, other.strength) == (False, 0.8)


def test_a_scale_of_zero_is_a_scale():
    options = {"ip_adapter_scale": 0.0, "controlnet_conditioning_scale": 0.0}
    plan = plan_of(options=options, controls={"pose": 1.0})
    assert (plan.ip_adapter_scale, dict(plan.controls)) == (0.0, {})


def test_a_controls_weight_is_multiplied_by_the_users_scale():
    controls = {"pose": 0.8, "depth": 0.5}
    assert dict(plan_of(controls=controls).controls) == controls
    halved = plan_of(controls=controls, options={"controlnet_conditioning_scale": 0.5})
    assert dict(halved.controls) == pytest.approx({"pose": 0.4, "depth": 0.25})


def test_what_is_added_is_held_by_a_pose_but_not_by_the_things_that_are_there():
    controls = {"pose": 0.8, "depth": 0.5, "canny": 0.5, "tile": 0.4}
    assert dict(plan_of(controls=controls, inserts=True).controls) == {"pose": 0.8}
    assert dict(plan_of(controls=controls, removes=True).controls) == controls


@pytest.mark.parametrize("seed", [None, -1])
def test_without_a_seed_one_is_drawn_each_time(seed):
    seeds = {plan_of(options={"seed": seed}).seeds for _ in range(8)}
    assert len(seeds) > 1
    assert all(len(drawn) == 1 and 0 <= drawn[0] <= MAX_SEED for drawn in seeds)


@pytest.mark.parametrize("seed", [0, 7, MAX_SEED])
def test_a_given_seed_is_kept(seed):
    assert plan_of(options={"seed": seed}).seeds == (seed,)


def test_candidates_have_the_seeds_from_the_given_one_on():
    assert plan_of(n=3, options={"seed": 7}).seeds == (7, 8, 9)
    first, *others = plan_of(n=8).seeds
    assert others == list(range(first + 1, first + 8))


@pytest.mark.parametrize(
    ("options", "inserts", "refined"),
    [
        ({"points": CLICK}, False, True),
        ({"points": CLICK}, True, True),
        ({"box": BOX}, False, True),
        ({"box": BOX}, True, False),
        ({"box": BOX, "refine_mask": RefineMask.ON}, True, True),
        ({"box": BOX, "refine_mask": RefineMask.OFF}, False, False),
    ],
)
def test_what_is_pointed_at_has_a_silhouette_but_a_box_for_what_is_added_is_its_place(options, inserts, refined):
    assert plan_of(options=options, inserts=inserts).refine_mask is refined


@pytest.mark.parametrize(
    ("given", "pace"),
    [
        ({}, (4, 1.0)),
        ({"num_inference_steps": 1, "guidance_scale": 9.0}, (4, 2.0)),
        ({"num_inference_steps": 30, "guidance_scale": 1.0}, (8, 1.0)),
        ({"num_inference_steps": 5, "guidance_scale": 1.8}, (5, 1.8)),
    ],
)
def test_a_fast_edit_stays_within_what_the_lcm_lora_is_trained_for(given, pace):
    plan = plan_of(options={"speed": Speed.FAST, **given})
    assert (plan.num_inference_steps, plan.guidance_scale) == pace


@pytest.mark.parametrize(
    ("given", "pace"),
    [
        ({}, (4, 1.0)),
        ({"num_inference_steps": 1}, (1, 1.0)),
        ({"num_inference_steps": 25, "guidance_scale": 7.5}, (4, 1.0)),
    ],
)
def test_a_turbo_edit_takes_at_most_four_steps_and_no_guidance(given, pace):
    plan = plan_of(options={"speed": Speed.TURBO, **given})
    assert (plan.num_inference_steps, plan.guidance_scale) == pace


def test_a_normal_edit_takes_the_users_pace_then_the_services():
    config = config_of(default_steps=31, default_guidance_scale=5.5)
    plan = plan_of(config=config)
    assert (plan.num_inference_steps, plan.guidance_scale) == (31, 5.5)
    plan = plan_of(config=config, options={"num_inference_steps": 50, "guidance_scale": 9.0})
    assert (plan.num_inference_steps, plan.guidance_scale) == (50, 9.0)


@pytest.mark.parametrize(
    ("known", "refined"),
    [
        ({}, False),
        ({"keeps_shape": True}, True),
        ({"target": Target(phrase="background", complement=True)}, True),
        ({"target": Target(region=BodyRegion.UPPER)}, True),
    ],
)
def test_silhouettes_are_for_what_must_keep_its_shape_unless_the_user_decides(known, refined):
    assert plan_of(**known).refine_mask is refined
    assert plan_of(options={"refine_mask": RefineMask.ON}, **known).refine_mask
    assert not plan_of(options={"refine_mask": RefineMask.OFF}, **known).refine_mask
