"""Sentences that say how things are to be: "the walls should be grey", "there could be a boat". Words -> **draft**."""

from __future__ import annotations

from prompt_reading.grammar.descriptions import bestow, describe, insertion
from prompt_reading.grammar.draft import Draft, appearance_draft, replace_draft
from prompt_reading.grammar.looks import is_look, quality_owner
from prompt_reading.grammar.phrases import Words, find
from prompt_reading.grammar.vocabulary import Word
from prompt_reading.lexicon import frames, function_words, words
from prompt_reading.lexicon.function_words import BUT, INTO, IT, LIKE, ON, THAN


def state(items: Words) -> Draft | None:
    """The draft of a sentence with a verb of being, looking or having; None when there is none."""
    rest = list(items)
    while len(rest) > 1 and rest[0].text in function_words.QUESTION_OPENINGS:
        rest.pop(0)
    return _existence(rest) or _possession(rest) or _being(rest)


def _existence(items: Words) -> Draft | None:
    """Read "there could be a boat on the lake": something is to be there."""
    if items[0].text not in function_words.DUMMY_SUBJECTS:
        return None
    be = find(items, *function_words.BEING)
    if be is None or be + 1 >= len(items) or (items[0].text == IT and items[be + 1].text not in words.INDEFINITE):
        return None
    return insertion(items[be + 1 :])


def _possession(items: Words) -> Draft | None:
    """Read "the cat should have green eyes": what is had is new, or looks new."""
    having = find(items, *function_words.HAVING)
    if having is None or having + 1 >= len(items):
        return None
    return bestow(_without_modals(items[:having]), ON, items[having + 1 :])


def _being(items: Words) -> Draft | None:
    """Read "the sofa is blue", "what would the door look like in red", "the pond becomes a pool"."""
    copula = find(items, *function_words.COPULAS)
    if copula is None:
        return None
    owner, new = _without_modals(items[:copula]), items[copula + 1 :]
    if not owner or not new:
        return None
    added = new[1:] if new[0].text == LIKE else new
    turned = items[copula].text in function_words.BECOMING or (
        items[copula].text in function_words.TURNING and new[0].text == INTO
    )
    while new and new[0].text in frames.BEFORE_LOOK:
        new = new[1:]
    than = find(new, THAN, start=0)
    if than is not None and than + 1 < len(new):
        return replace_draft(new[than + 1 :], owner)
    if is_look(new):
        return appearance_draft(quality_owner(owner) or owner, new)
    if added and added[0].text in frames.COMPANY:
        return describe([*owner, *added])
    if new and items[copula].text != BUT and (turned or new[0].text in words.INDEFINITE):
        return replace_draft(owner, new)
    return None


def _without_modals(items: Words) -> list[Word]:
    owner = list(items)
    while owner and owner[-1].text in function_words.BEFORE_STATE:
        owner.pop()
    return owner
