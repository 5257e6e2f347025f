"""The configuration with nothing left to choose: **one plan per server**, made once and the same in every process.

The first process of a server makes it, before anything takes memory, and leaves it in the environment of the others:
a runner that starts later, or again, would find the card half full and plan for something else.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from composition.config import Config
from models_store.plan.machine import Card, Machine
from models_store.plan.needs import Needs, needs_of
from models_store.plan.planner import Choice, Part, Plan, Wishes, make_plan
from models_store.plan.probe import find_gpus
from models_store.store import ModelSet

VARIABLE = "IMAGE_COMPOSITION_PLAN"


def planned(config: Config) -> Config:
    """The configuration with the plan's choices in place of "auto"."""
    return resolve(config, decide(config))


def without_card(config: Config) -> Config:
    """The configuration for the CPU, where the card that was planned with turns out not to work after all."""
    return resolve(config, make_plan(Machine(), needs_of(ModelSet(config.models)), wishes_of(config)))


def decide(config: Config, find: Callable[[], Machine] = find_gpus) -> Plan:
    """This server's plan: the one in the environment when it is for this configuration, else a new one, left there.

    Raises: as `ModelSet.require_served`.
    """
    models = ModelSet(config.models)
    models.require_served()
    wishes, needs = wishes_of(config), needs_of(models)
    identity = _digest(wishes, needs)
    told = os.environ.get(VARIABLE)
    if told and (known := json.loads(told))["for"] == identity:
        return _from_json(known["plan"])
    plan = make_plan(find() if wishes.device != "cpu" else Machine(), needs, wishes)
    os.environ[VARIABLE] = json.dumps({"for": identity, "plan": asdict(plan)})
    return plan


def wishes_of(config: Config) -> Wishes:
    """What the configuration says by hand."""
    models, optimization, generation = config.models, config.optimization, config.generation
    return Wishes(
        device=models.device,
        dtype=None if models.dtype == "auto" else models.dtype,
        offload=None if optimization.enable_model_offload == "auto" else optimization.enable_model_offload,
        max_rows=None if generation.max_rows == "auto" else generation.max_rows,
        native_size=generation.native_size,
        max_controlnets=models.controlnet.max_loaded,
        max_checkpoints=models.max_loaded_checkpoints,
        fused_loras_bytes=config.loras.max_loaded_mb << 20 if config.loras.fused else 0,
        one_perception_process=(
            None if optimization.one_perception_process == "auto" else optimization.one_perception_process
        ),
        int8=optimization.int8,
    )


def resolve(config: Config, plan: Plan) -> Config:
    """The plan's choices written where a person would write them."""
    choice = plan.choice
    return config.model_copy(
        update={
            "models": config.models.model_copy(
                update={"dtype": choice.dtype, "max_loaded_checkpoints": max(1, choice.max_checkpoints)}
            ),
            "generation": config.generation.model_copy(
                update={"max_rows": choice.max_rows, "native_size": choice.native_size}
            ),
            "optimization": config.optimization.model_copy(
                update={
                    "enable_model_offload": choice.offload,
                    "one_perception_process": choice.one_perception_process,
                    "int8": choice.int8,
                }
            ),
        }
    )


def _digest(wishes: Wishes, needs: Needs) -> str:
    return hashlib.sha256(json.dumps([asdict(wishes), asdict(needs)], sort_keys=True).encode()).hexdigest()[:16]


def _from_json(tree: dict[str, Any]) -> Plan:
    card = tree["card"]
    return Plan(
        choice=Choice(**{**tree["choice"], "int8": tuple(tree["choice"]["int8"])}),
        parts=tuple(Part(**part) for part in tree["parts"]),
        card=None if card is None else Card(**{**card, "capability": tuple(card["capability"])}),
        cards=tree["cards"],
        fits=tree["fits"],
        by_hand=tuple(tree["by_hand"]),
        remarks=tuple(tree["remarks"]),
    )
