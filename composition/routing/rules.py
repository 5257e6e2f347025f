"""Which pipeline: evidence -> **first rule that matches** -> decision. DESIGN.md section 3, a row a rule.

Adding a rule is adding a row to `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from composition.decision import Pipeline
from composition.request import PipelineChoice
from composition.routing.evidence import Evidence


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row: the rule's name, when it holds, what it decides, and why, in words for the response."""

    name: str
    holds: Callable[[Evidence], bool]
    pipeline: Callable[[Evidence], Pipeline]
    reason: Callable[[Evidence], str]


def _complex(_: Evidence) -> Pipeline:
    return Pipeline.COMPLEX


def _simple(_: Evidence) -> Pipeline:
    return Pipeline.SIMPLE


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        name="forced",
        holds=lambda e: e.options.force_controlnet or bool(e.options.control_types),
        pipeline=_complex,
        reason=lambda e: "the request asks for structure control",
    ),
    Rule(
        name="requested",
        holds=lambda e: e.options.pipeline is not PipelineChoice.AUTO,
        pipeline=lambda e: Pipeline(e.options.pipeline.value),
        reason=lambda e: f"the request asks for the {e.options.pipeline.value} pipeline",
    ),
    Rule(
        name="try_on",
        holds=lambda e: e.automatic and bool(e.try_on_words),
        pipeline=_complex,
        reason=lambda e: f"the prompt is about a person or about wearing something ({', '.join(e.try_on_words)})",
    ),
    Rule(
        name="human",
        holds=lambda e: e.automatic and e.human_score > e.threshold,
        pipeline=_complex,
        reason=lambda e: f"there is a person in the image (score {e.human_score:.2f})",
    ),
    Rule(
        name="clothing_reference",
        holds=lambda e: e.automatic and e.clothing_probability > e.threshold,
        pipeline=_complex,
        reason=lambda e: f"the reference shows clothing or an accessory (probability {e.clothing_probability:.2f})",
    ),
    Rule(
        name="appearance",
        holds=lambda e: e.automatic and e.appearance_only,
        pipeline=_simple,
        reason=lambda e: "only colour, style, texture or material changes",
    ),
    Rule(
        name="structural_object",
        holds=lambda e: e.automatic and (bool(e.structural_words) or e.vehicle_score > e.threshold),
        pipeline=_complex,
        reason=lambda e: (
            f"the prompt is about a vehicle or furniture ({', '.join(e.structural_words)})"
            if e.structural_words
            else f"there is a vehicle in the image (score {e.vehicle_score:.2f})"
        ),
    ),
    Rule(
        name="structural_clip",
        holds=lambda e: e.automatic and e.structural_probability > e.threshold,
        pipeline=_complex,
        reason=lambda e: (
            f"CLIP reads the prompt as being about a body, a vehicle or furniture "
            f"(probability {e.structural_probability:.2f})"
        ),
    ),
    Rule(
        name="default",
        holds=lambda e: True,
        pipeline=lambda e: e.default_pipeline,
        reason=lambda e: "nothing asks for structure control" if e.automatic else "automatic routing is switched off",
    ),
)
"""In order; the first that holds decides."""


def first_match(evidence: Evidence) -> Rule:
    return next(rule for rule in RULES if rule.holds(evidence))
