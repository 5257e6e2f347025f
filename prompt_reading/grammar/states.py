"""Sentences that say how things are to be: "the walls should be grey", "there could be a boat". Words -> **draft**."""

from __future__ import annotations

from typing import Final

from prompt_reading.grammar.descriptions import bestow, describe, insertion
from prompt_reading.grammar.draft import Draft, appearance_draft, replace_draft
from prompt_reading.grammar.looks import is_look, quality_owner
from prompt_reading.grammar.phrases import Words, find
from prompt_reading.grammar.vocabulary import Word
from prompt_reading.lexicon import words
from prompt_reading.lexicon.listing import word_set

_QUESTIONS: Final = word_set("what how would could should can will does do might if let with suppose why not")
_BE: Final = word_set("is are be been becomes become was were being turns turned goes went")
_COPULAS: Final = _BE | {"look", "looks", "looked", "but"}
_HAVING: Final = word_set("have has had having get gets got contain contains")
_MODALS: Final = word_set("should would could must will to shall might may can need needs , now")
_LEADS: Final = word_set(
    """
    now in made of out like be become all with look looking completely more from to as better nicer great good nice best
    amazing cool lovely awesome perfect fantastic prettier different being entirely painted done it it's is they're
    """
)
"""What may stand between "is" and the look itself."""


def state(items: Words) -> Draft | None:
    """The draft of a sentence with a verb of being, looking or having; None when there is none."""
    rest = list(items)
    while len(rest) > 1 and rest[0].text in _QUESTIONS:
        rest.pop(0)
    return _existence(rest) or _possession(rest) or _being(rest)


def _existence(items: Words) -> Draft | None:
    """Read "there could be a boat on the lake": something is to be there."""
    if items[0].text not in ("there", "it"):
        return None
    be = find(items, *_BE)
    if be is None or be + 1 >= len(items) or (items[0].text == "it" and items[be + 1].text not in words.INDEFINITE):
        return None
    return insertion(items[be + 1 :])


def _possession(items: Words) -> Draft | None:
    """Read "the cat should have green eyes": what is had is new, or looks new."""
    having = find(items, *_HAVING)
    if having is None or having + 1 >= len(items):
        return None
    return bestow(_without_modals(items[:having]), "on", items[having + 1 :])


def _being(items: Words) -> Draft | None:
    """Read "the sofa is blue", "what would the door look like in red", "the pond becomes a pool"."""
    copula = find(items, *_COPULAS)
    if copula is None:
        return None
    owner, new = _without_modals(items[:copula]), items[copula + 1 :]
    if not owner or not new:
        return None
    added = new[1:] if new[0].text == "like" else new
    turned = items[copula].text.startswith("becom") or (items[copula].text[:4] == "turn" and new[0].text == "into")
    while new and new[0].text in _LEADS:
        new = new[1:]
    than = find(new, "than", start=0)
    if than is not None and than + 1 < len(new):
        return replace_draft(new[than + 1 :], owner)
    if is_look(new):
        return appearance_draft(quality_owner(owner) or owner, new)
    if added and added[0].text in ("with", "without"):
        return describe([*owner, *added])
    if new and items[copula].text != "but" and (turned or new[0].text in words.INDEFINITE):
        return replace_draft(owner, new)
    return None


def _without_modals(items: Words) -> list[Word]:
    owner = list(items)
    while owner and owner[-1].text in _MODALS:
        owner.pop()
    return owner
