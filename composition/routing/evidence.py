"""What the rules look at: reading + signals + options -> **scores and words** -> rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from composition.config import RoutingConfig
from composition.decision import Pipeline, ReferenceKind, Signals
from composition.reading import Reading
from composition.request import EditOptions

VEHICLE_LABELS: Final = frozenset({
    "car", "truck", "bus", "van", "motorcycle", "motorbike", "bicycle", "train", "boat", "airplane", "aeroplane",
    "vehicle",
})  # fmt: skip
"""The vehicles among the detector's COCO labels, under their common spellings."""
HUMAN_LABEL: Final = "person"


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
        described = [
            {kind.value: round(float(score), 4) for kind, score in kinds.items()} for kinds in signals.references
        ]
        return {
            "try_on_words": list(self.try_on_words),
            "structural_words": list(self.structural_words),
            "appearance_only": self.appearance_only,
            "human": round(self.human_score, 4),
            "vehicle": round(self.vehicle_score, 4),
            "clothing_reference": round(self.clothing_probability, 4),
            "reference": described[0] if described else {},
            **({"references": described} if len(described) > 1 else {}),
            "prompt_structural": round(self.structural_probability, 4),
            "objects": [{"label": found.label, "score": round(float(found.score), 4)} for found in signals.objects],
            "threshold": self.threshold,
        }


def gather(*, reading: Reading, options: EditOptions, signals: Signals, config: RoutingConfig) -> Evidence:
    triggers = config.complex_triggers
    return Evidence(
        options=options,
        automatic=config.enable_auto_routing,
        default_pipeline=Pipeline(config.default_pipeline),
        threshold=config.routing_confidence_threshold,
        try_on_words=reading.try_on_words,
        structural_words=tuple(dict.fromkeys((*reading.structural_words, *reading.keywords))),
        appearance_only=reading.appearance_only,
        human_score=_best(signals, frozenset({HUMAN_LABEL})) if triggers.detect_humans else 0.0,
        vehicle_score=_best(signals, VEHICLE_LABELS) if triggers.detect_vehicles else 0.0,
        clothing_probability=max(map(_clothing, signals.references), default=0.0),
        structural_probability=float(signals.prompt_structural or 0.0),
    )


def _clothing(kinds: Mapping[ReferenceKind, float]) -> float:
    return min(1.0, sum(float(kinds.get(kind, 0.0)) for kind in (ReferenceKind.GARMENT, ReferenceKind.ACCESSORY)))


def _best(signals: Signals, labels: frozenset[str]) -> float:
    return max((float(found.score) for found in signals.objects if found.label.lower() in labels), default=0.0)
