"""A sentence's clauses, each drafted, then taken together: tokens -> **drafts** -> reading."""

from __future__ import annotations

from typing import Final

from composition.routing.grammar.descriptions import describe
from composition.routing.grammar.draft import Draft, Intent, is_pronoun, remove_draft, replace_draft
from composition.routing.grammar.frames import FRAMES
from composition.routing.grammar.instruction import DESCRIBE, Instruction, instruct, split_clauses, strip_courtesy
from composition.routing.grammar.phrases import Words, name_of, parse_noun_phrase, text_of
from composition.routing.grammar.vocabulary import tag
from composition.routing.grammar.worn import wear_draft
from composition.routing.lexicon import verbs
from composition.routing.lexicon.listing import word_set

_GONE: Final = word_set("gone removed deleted erased disappear vanish disappeared vanished away")
_TOWARDS_GONE: Final = word_set("to be all should would could must shall can will just totally completely go")


def draft_clauses(tokens: list[str]) -> list[Draft | None]:
    stripped = strip_courtesy(tokens)
    clauses = [stripped] if stripped[:1] in (["instead"], ["rather"]) else split_clauses(stripped)
    return [_swapped(clause) or _draft(instruct(clause)) for clause in clauses]


def _swapped(clause: list[str]) -> Draft | None:
    """Read "b instead of A", "instead of A, B", "B rather than A", "B in place of A"."""
    for phrase in (
        ("instead", "of"),
        ("rather", "than"),
        ("in", "place", "of"),
        ("in", "lieu", "of"),
        ("in", "exchange", "for"),
    ):
        length = len(phrase)
        for index in range(len(clause) - length):
            if tuple(clause[index : index + length]) != phrase:
                continue
            new, old = clause[:index], clause[index + length :]
            if not new:
                comma = next((i for i, token in enumerate(old) if token == ","), None)
                if comma is None:
                    verb = next(
                        (i for i in range(1, len(old)) if old[i] in ("put", "show", "add", "have", "use", "place")),
                        None,
                    )
                    if verb is None:
                        return None
                    comma = verb - 1
                    old, new = old[: comma + 1], old[comma + 1 :]
                else:
                    old, new = old[:comma], old[comma + 1 :]
            return _instead(new, old)
    return None


def _instead(new: list[str], old: list[str]) -> Draft:
    instruction = instruct(new)
    made = tag(instruction.arguments)
    named = tag(old)
    if instruction.frame in (verbs.MAKE, verbs.PAINT, verbs.CHANGE):
        draft = FRAMES[instruction.frame](instruction.verb, made)
        if draft.intent is Intent.APPEARANCE:
            return draft
    worn = wear_draft(made)
    return worn or replace_draft(named, made)


def _draft(instruction: Instruction) -> Draft | None:
    items = tag(instruction.arguments)
    if instruction.frame == verbs.KEEP or (not items and not instruction.arguments):
        return None
    if instruction.frame == DESCRIBE:
        if items and items[0].text in ("without", "no"):
            return remove_draft(items[2:] if items[1:2] and items[1].text == "more" else items[1:])
        if len(items) > 1 and items[-1].text in _GONE:
            return remove_draft([word for word in items[:-1] if word.text not in _TOWARDS_GONE])
        without = next((i for i in range(1, len(items)) if _excludes(items, i)), None)
        if without is not None and without + 1 < len(items):
            return remove_draft(items[without + 1 :])
        if items and items[0].text == "not":
            but = next((i for i in range(2, len(items)) if items[i].text == "but"), None)
            if but is not None and but + 1 < len(items):
                return replace_draft(items[1:but], items[but + 1 :])
        return wear_draft(items) or describe(items)
    if not items:
        return None
    return FRAMES[instruction.frame](instruction.verb, items)


def _excludes(items: Words, index: int) -> bool:
    """Whether "without", "minus" or "with no" stands here."""
    text = items[index].text
    return text in ("without", "minus") or (text == "no" and items[index - 1].text == "with")


def merge(drafts: list[Draft]) -> Draft:
    """One draft of several clauses: "remove the mug and put a teapot there" replaces the mug."""
    first = drafts[0]
    for later in drafts[1:]:
        if first.intent is Intent.REMOVE and later.intent in (Intent.ADD, Intent.REPLACE) and later.made:
            if not later.place or is_pronoun(later.place) or (not later.named and later.intent is Intent.REPLACE):
                made = [word for word in later.made if word.text not in ("there", "instead")]
                return replace_draft(first.named, made)
        if first.intent is Intent.DESCRIBE and not later.named and first.named:
            return Draft(
                intent=later.intent, named=first.named, looks=later.looks, made=later.made,
                paint=f"{later.paint} {text_of(name_of(parse_noun_phrase(first.named)))}" if later.looks else later.paint,
                removed=later.removed or (name_of(parse_noun_phrase(first.named)) if later.intent is Intent.REMOVE else ()),
            )  # fmt: skip
        if first.intent is Intent.DESCRIBE and not first.named:
            return later
    return first
