"""The account of a decision: every signal under the name that the documentation gives it."""

from __future__ import annotations

from composition.decision import ReferenceKind


def test_an_account_names_every_signal_once(decide):
    decision = decide("put on this jacket", reference={ReferenceKind.GARMENT: 0.81234}, objects={"person": 0.9})
    signals = decision.signals
    assert set(signals) >= {
        "try_on_words", "structural_words", "appearance_only", "human", "vehicle", "clothing_reference", "reference",
        "prompt_structural", "objects", "threshold",
    }  # fmt: skip
    assert signals["clothing_reference"] == 0.8123
    assert signals["reference"] == {"garment": 0.8123}
    assert signals["appearance_only"] is False
    assert signals["try_on_words"] != []
