"""What the rules look at: reading + signals + options -> **scores and words** -> rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

from composition.config import RoutingConfig
from composition.decision import Pipeline, ReferenceKind, Signals
from composition.request import EditOptions
from prompt_reading.grammar.draft import Intent
from prompt_reading.grammar.vocabulary import STRUCTURAL, Kind, Word, normalise, tag, tokenise
from prompt_reading.grammar.worn import qualifies
from prompt_reading.lexicon import people
from prompt_reading.reading import Reading

VEHICLE_LABELS: Final = frozenset(
    {
        "car",
        "truck",
        "bus",
        "van",
        "motorcycle",
        "motorbike",
        "bicycle",
        "train",
        "boat",
        "airplane",
        "aeroplane",
        "vehicle",
    }
)
"""The vehicles among the detector's COCO labels, under their common spellings."""
HUMAN_LABEL: Final = "person"
_THINGS: Final = STRUCTURAL | {Kind.NEUTRAL}


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """Everything a rule may ask; a signal that is absent or switched off scores 0."""

    options: EditOptions
    automatic: bool
    default_pipeline: Pipeline
    threshold: float
    try_on_words: tuple[str, ...]
    structural_words: tuple[str, ...]
    appearance_only: bool
    human_score: float
    vehicle_score: float
    clothing_probability: float
    structural_probability: float

    def as_signals(self, signals: Signals) -> dict[str, Any]:
        """The account for the response: every signal with its score, JSON-serialisable."""
        return {
            "try_on_words": list(self.try_on_words),
            "structural_words": list(self.structural_words),
            "appearance_only": self.appearance_only,
            "human": round(self.human_score, 4),
            "vehicle": round(self.vehicle_score, 4),
            "clothing_reference": round(self.clothing_probability, 4),
            "reference": {kind.value: round(float(score), 4) for kind, score in signals.reference.items()},
            "prompt_structural": round(self.structural_probability, 4),
            "objects": [{"label": found.label, "score": round(float(found.score), 4)} for found in signals.objects],
            "threshold": self.threshold,
        }


def gather(*, prompt: str, reading: Reading, options: EditOptions, signals: Signals, config: RoutingConfig) -> Evidence:
    """Put together what the rules ask."""
    triggers = config.complex_triggers
    extra = _configured(prompt, triggers.keywords)
    clothing = sum(float(signals.reference.get(kind, 0.0)) for kind in (ReferenceKind.GARMENT, ReferenceKind.ACCESSORY))
    return Evidence(
        options=options,
        automatic=config.enable_auto_routing,
        default_pipeline=Pipeline(config.default_pipeline),
        threshold=config.routing_confidence_threshold,
        try_on_words=_try_on_words(reading),
        structural_words=tuple(dict.fromkeys((*_structural_words(reading.words), *extra))),
        appearance_only=reading.intent is Intent.APPEARANCE,
        human_score=_best(signals, frozenset({HUMAN_LABEL})) if triggers.detect_humans else 0.0,
        vehicle_score=_best(signals, VEHICLE_LABELS) if triggers.detect_vehicles else 0.0,
        clothing_probability=min(1.0, clothing),
        structural_probability=float(signals.prompt_structural or 0.0),
    )


def _best(signals: Signals, labels: frozenset[str]) -> float:
    return max((float(found.score) for found in signals.objects if found.label.lower() in labels), default=0.0)


def _try_on_words(reading: Reading) -> tuple[str, ...]:
    found = [reading.says_worn] if reading.says_worn else []
    return tuple(dict.fromkeys([*found, *_people(reading.words)]))


def _people(items: Sequence[Word]) -> list[str]:
    """Words for a human; one that only qualifies another noun ("baby crib", "child seat") is none."""
    found: list[str] = []
    for word, following in zip_longest(items, items[1:]):
        if word.text in people.WEAK_PERSON_WORDS:
            is_human = not qualifies(following)
        else:
            is_human = word.is_a(Kind.PERSON) and not (following is not None and following.kinds & _THINGS)
        if is_human:
            found.append(word.text)
    return found


def _structural_words(items: Sequence[Word]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.text for word in items if word.kinds & STRUCTURAL))


def _configured(prompt: str, keywords: Sequence[str]) -> tuple[str, ...]:
    """Keywords of the configuration that the prompt holds as whole words, except those of the try-on lists."""
    text = f" {' '.join(''.join(c if c.isalnum() else ' ' for c in normalise(prompt)).split())} "
    return tuple(
        keyword
        for keyword in (normalise(item) for item in keywords)
        if keyword and not _is_built_in(keyword) and f" {' '.join(keyword.replace('-', ' ').split())} " in text
    )


def _is_built_in(keyword: str) -> bool:
    """Whether the lexicon has the keyword for one of the rules already, with its own care for compounds."""
    if keyword in people.WEAR_VERBS or keyword in people.TRY_ON_PHRASES:
        return True
    tagged = tag(tokenise(keyword))
    return len(tagged) == 1 and bool(tagged[0].kinds & (STRUCTURAL | {Kind.PERSON}))
