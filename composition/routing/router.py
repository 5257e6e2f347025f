"""The router: prompt -> reading; reading + signals -> **decision** -> editor."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from composition.config import RoutingConfig
from composition.controls import CONTROLS, Need
from composition.controls.depth import DEPTH
from composition.controls.pose import POSE
from composition.decision import Decision, Pipeline, ReferenceKind, Signals
from composition.ports.prompt_reader import PromptReader
from composition.reading import Reading
from composition.request import ControlType, EditOptions
from composition.routing.evidence import Evidence, gather
from composition.routing.rules import first_match

log = logging.getLogger(__name__)

SHOWN: Final[Mapping[ReferenceKind, str]] = {
    ReferenceKind.GARMENT: "clothing",
    ReferenceKind.ACCESSORY: "fashion accessory",
    ReferenceKind.OBJECT: "object",
    ReferenceKind.TEXTURE: "material texture",
}
"""What the diffusion model is told when only the reference image says what is wanted."""

NOT_ENGLISH: Final = "the prompt does not look English; the models were trained on English"
FIRST_EDIT_ONLY: Final = "only the first of {count} edits is done; left out: {left_out}"
MARKUP_DROPPED: Final = "markup of other tools has no meaning here and was left out of the prompt"


@dataclass(frozen=True, kw_only=True)
class SignalsNeeded:
    """What can still change the decision, so that nothing else need be computed."""

    objects: bool
    reference: bool
    prompt: bool


class Router:
    """Decides pipeline, target and words of an edit. Pure: no I/O, the same input gives the same decision.

    An edit's prompt is read once (`read`); the reading tells which signals are worth computing (`needs`) and, with
    them, what is done (`decide`).
    """

    def __init__(self, config: RoutingConfig, reader: PromptReader) -> None:
        """Keywords that the reader knows already are named in the log."""
        self._config = config
        self._reader = reader
        keywords = config.complex_triggers.keywords
        self._keywords = tuple(keyword for keyword in keywords if not reader.knows(keyword))
        if built_in := [keyword for keyword in keywords if reader.knows(keyword)]:
            log.warning(
                "routing.complex_triggers.keywords: built in already, listing them changes nothing: %s",
                ", ".join(built_in),
            )

    def read(self, prompt: str, options: EditOptions) -> Reading:
        """Understand a prompt as the user wrote it; the `target` of the options overrides what it names."""
        return self._reader.read(prompt, target=options.target, keywords=self._keywords)

    def decide(self, reading: Reading, *, options: EditOptions, signals: Signals, has_reference: bool) -> Decision:
        """Decide one edit, as the prompt was read; parts of what the analyzer found may be absent.

        Of a reading with `others` it decides the first, and warns that they are left out.
        """
        evidence = gather(reading=reading, options=options, signals=signals, config=self._config)
        rule = first_match(evidence)
        pipeline = rule.pipeline(evidence)
        return Decision(
            pipeline=pipeline,
            rule=rule.name,
            reason=rule.reason(evidence),
            target=reading.target,
            generation_prompt=_generation_prompt(reading, signals),
            controls=_controls(evidence, reading) if pipeline is Pipeline.COMPLEX else {},
            negative_terms=reading.negative_terms,
            keeps_shape=reading.appearance_only,
            recolour=reading.recolour,
            inserts=reading.inserts,
            removes=reading.removes,
            signals={**evidence.as_signals(signals), "has_reference": has_reference},
            warnings=_warnings(reading),
        )

    def needs(self, reading: Reading, options: EditOptions) -> SignalsNeeded:
        """Which signals can still matter for this reading; `reference` applies only when there is one."""
        evidence = gather(reading=reading, options=options, signals=Signals(), config=self._config)
        rule = first_match(evidence)
        open_ended = rule.name not in ("forced", "requested", "try_on") and evidence.automatic
        poses = rule.pipeline(evidence) is Pipeline.COMPLEX and (
            not options.control_types or any(Need.POSES in CONTROLS[name].needs for name in options.control_types)
        )
        return SignalsNeeded(
            objects=open_ended or poses or reading.target.region is not None or reading.target.complement,
            reference=open_ended,
            prompt=open_ended and rule.name not in ("appearance", "structural_object"),
        )


def _generation_prompt(reading: Reading, signals: Signals) -> str:
    """The reading's words; where they only point at the reference ("use this"), what that shows most surely."""
    shown = [(score, kind) for kinds in signals.references for kind, score in kinds.items()]
    if not reading.vague or not shown:
        return reading.generation_prompt
    return SHOWN[max(shown, key=lambda one: one[0])[1]]


def _controls(evidence: Evidence, reading: Reading) -> dict[ControlType, float]:
    """Pose when a human is there, depth when a 3D object is the target, both when both; neither: depth."""
    if evidence.options.control_types:
        chosen = list(dict.fromkeys(evidence.options.control_types))
    else:
        human = evidence.human_score > evidence.threshold or bool(evidence.try_on_words)
        chosen = [POSE.name] if human else []
        if reading.structural_target or not human:
            chosen.append(DEPTH.name)
    controls = [CONTROLS[name] for name in chosen]
    return {control.name: control.together if len(controls) > 1 else control.alone for control in controls}


def _warnings(reading: Reading) -> tuple[str, ...]:
    found = []
    if not reading.english:
        found.append(NOT_ENGLISH)
    if reading.others:
        left_out = "; ".join(other.asked for other in reading.others)
        found.append(FIRST_EDIT_ONLY.format(count=len(reading.others) + 1, left_out=left_out))
    if reading.dropped:
        found.append(f"{MARKUP_DROPPED}: {', '.join(reading.dropped)}")
    return tuple(found)
