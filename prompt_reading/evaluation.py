"""Measuring the router on labelled prompts: JSON lines -> decisions -> **score per field**."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from composition.decision import Decision, ReferenceKind, Signals, Target
from composition.images import Box, Detection
from composition.request import ControlType, EditOptions, PipelineChoice
from composition.routing.router import Router
from prompt_reading.lexicon.words import DETERMINERS

FIELDS: Final = ("pipelines", "rules", "controls", "targets", "paints")
_SURE: Final = 0.9
_NOWHERE: Final = Box(x0=0, y0=0, x1=1, y1=1)


@dataclass
class Score:
    """Hits and totals per field, and a line per miss."""

    hits: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FIELDS, 0))
    totals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FIELDS, 0))
    misses: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """One line: `pipelines A/N rules B/N controls C/N targets D/M paints E/K`."""
        return " ".join(f"{name} {self.hits[name]}/{self.totals[name]}" for name in FIELDS)

    @property
    def complete(self) -> bool:
        return self.hits == self.totals


def evaluate_file(path: Path, router: Router) -> Score:
    """Score every line of a file of labelled prompts, whatever reader the router has.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line is not a labelled prompt; the message names it.
    """
    score = Score()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            decision = decide_row(router, row)
            _judge(row, decision, score)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}:{number}: not a labelled prompt: {error!r}") from error
    return score


def decide_row(router: Router, row: Mapping[str, Any]) -> Decision:
    reference, options = row.get("reference"), _options(row.get("config") or {})
    return router.decide(
        router.read(row["prompt"], options),
        options=options,
        signals=Signals(
            objects=tuple(_detection(entry) for entry in row.get("base") or ()),
            references=() if reference is None else (_shown(reference),),
            prompt_structural=float(row.get("prompt_clip", 0.0)),
        ),
        has_reference=reference is not None,
    )


def _options(config: Mapping[str, Any]) -> EditOptions:
    return EditOptions(
        pipeline=PipelineChoice(config.get("pipeline", "auto")),
        force_controlnet=bool(config.get("force_controlnet", False)),
        control_types=tuple(ControlType(item) for item in config.get("control_types") or ()),
        target=config.get("target"),
    )


def _detection(entry: str | Mapping[str, Any]) -> Detection:
    if isinstance(entry, str):
        return Detection(label=entry, score=_SURE, box=_NOWHERE)
    return Detection(label=entry["label"], score=float(entry["score"]), box=_NOWHERE)


def _shown(name: str) -> dict[ReferenceKind, float]:
    shown = ReferenceKind(name)
    rest = (1.0 - _SURE) / (len(ReferenceKind) - 1)
    return {kind: _SURE if kind is shown else rest for kind in ReferenceKind}


def _judge(row: Mapping[str, Any], decision: Decision, score: Score) -> None:
    expect = row["expect"]
    controls = sorted(decision.controls)
    checks: list[tuple[str, bool, str]] = []
    if "pipeline" in expect:
        checks.append(("pipelines", decision.pipeline.value == expect["pipeline"], f"{decision.pipeline.value}"))
    if "rule" in expect:
        checks.append(("rules", decision.rule == expect["rule"], decision.rule))
    wanted = expect.get("controls", [] if expect.get("pipeline") == "simple" else None)
    if wanted is not None:
        checks.append(("controls", controls == sorted(wanted), ",".join(controls) or "none"))
    if "target" in expect or "region" in expect:
        checks.append(("targets", _target_matches(expect, decision.target), describe_target(decision.target)))
    if "paint" in expect:
        checks.append(
            ("paints", _paint_matches(expect["paint"], decision.generation_prompt), decision.generation_prompt)
        )
    for name, hit, got in checks:
        score.totals[name] += 1
        score.hits[name] += hit
        if not hit:
            score.misses.append(
                f"{row.get('id', '?')} {row['prompt']!r}: {name[:-1]}: got {got}, expected {_wanted(name, expect)}"
            )


def _wanted(name: str, expect: Mapping[str, Any]) -> str:
    if name == "targets":
        return json.dumps(expect.get("target", expect.get("region")))
    return json.dumps(expect.get(name[:-1], []))


def _plain(phrase: str) -> str:
    return " ".join(word for word in phrase.lower().split() if word not in DETERMINERS)


def _target_matches(expect: Mapping[str, Any], target: Target) -> bool:
    if "target" in expect:
        named = target.phrase or target.place or ""
        if _plain(named) in {_plain(phrase) for phrase in expect["target"]}:
            return True
    return "region" in expect and target.region is not None and target.region.value in expect["region"]


def _paint_matches(expect: Mapping[str, Sequence[str]], paint: str) -> bool:
    text = paint.lower()
    return all(word.lower() in text for word in expect.get("has", ())) and not any(
        word.lower() in text for word in expect.get("lacks", ())
    )


def describe_target(target: Target) -> str:
    """A target in a few words, for people."""
    parts = [target.phrase] if target.phrase else []
    parts += [f"region {target.region.value}"] if target.region else []
    parts += ["everything but the subject"] if target.complement and not target.rest else []
    parts += ["every instance"] if target.plural else []
    parts += [f"the {target.position.value} one"] if target.position else []
    parts += [f"at {target.place}"] if target.place else []
    described = ", ".join(parts) or "the whole image"
    return f"{described}; but not {', '.join(target.protected)}" if target.protected else described
