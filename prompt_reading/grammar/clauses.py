"""A sentence's clauses, each drafted, then taken together: tokens -> **drafts** -> reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from prompt_reading.grammar.descriptions import describe
from prompt_reading.grammar.draft import Draft, Intent, appearance_draft, is_pronoun, remove_draft, replace_draft
from prompt_reading.grammar.frames import FRAMES
from prompt_reading.grammar.instruction import DESCRIBE, Instruction, instruct, split_clauses, strip_courtesy
from prompt_reading.grammar.kept import forbids_appearing
from prompt_reading.grammar.looks import is_look
from prompt_reading.grammar.phrases import Words, find, name_of, parse_noun_phrase, text_of
from prompt_reading.grammar.states import state
from prompt_reading.grammar.vocabulary import tag
from prompt_reading.grammar.worn import trigger, wear_draft
from prompt_reading.lexicon import frames, function_words, inflection, verbs
from prompt_reading.lexicon.function_words import BUT, COMMA, MORE, NO, NOT, WITH
from prompt_reading.lexicon.words import ENGLISH_WORDS, PRONOUNS

_ELLIPTIC: Final = frozenset({verbs.MAKE, verbs.PAINT, verbs.CHANGE, verbs.REPLACE})
_LINKS: Final = {verbs.REPLACE: frames.EXCHANGE_LINKS, verbs.CHANGE: frames.RESULT_LINKS}
"""What both halves must have where the verb is said once."""
_UNNAMED: Final[Mapping[str, Draft]] = {
    verbs.PAINT: Draft(intent=Intent.APPEARANCE),
    verbs.COVER: Draft(intent=Intent.APPEARANCE),
    verbs.REMOVE: remove_draft(()),
    verbs.REPLACE: Draft(intent=Intent.REPLACE),
    verbs.CHANGE: Draft(intent=Intent.REPLACE),
}
"""A verb alone: the thing may come from the request's target."""
_BY_PREPOSITION: Final[Mapping[str, frozenset[str]]] = {
    verbs.REPLACE: frames.REPLACEMENT_LINKS,
    verbs.CHANGE: frames.RESULT_LINKS,
    verbs.REMOVE: frames.REMOVE_LINKS,
}


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: its draft, and the words that ask for it."""

    draft: Draft
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """What a sentence asks for: the first edit, with all that goes on about it, and the others behind it."""

    first: Edit
    others: tuple[Edit, ...] = ()


def read_clauses(tokens: Sequence[str]) -> Sentence:
    """What a sentence asks for."""
    stripped = strip_courtesy(tokens)
    clauses = [stripped] if stripped and stripped[0] in frames.SWAP_OPENINGS else split_clauses(stripped)
    edits = [edit for clause in clauses for edit in _edits(clause)]
    if not edits:
        return Sentence(Edit(Draft(intent=Intent.DESCRIBE), tuple(tokens)))
    first, others = edits[0], list[Edit]()
    for later in edits[1:]:
        if (joined := _going_on(first, later)) is not None:
            first = joined
        elif others and (joined := _going_on(others[-1], later)) is not None:
            others[-1] = joined
        else:
            others.append(Edit(later.draft, tuple(strip_courtesy(later.tokens))))
    return Sentence(first, tuple(others))


def _going_on(first: Edit, later: Edit) -> Edit | None:
    """Both as one edit, where the later goes on about the first."""
    draft = _joined(first.draft, later.draft)
    return None if draft is None else Edit(draft, (*first.tokens, *later.tokens))


def _edits(clause: list[str]) -> list[Edit]:
    """A clause's edits; two where the verb is said once ("make the car red and the wheels black")."""
    swapped = _swapped(clause)
    if swapped is not None:
        return [Edit(swapped, tuple(clause))]
    instruction = instruct(clause)
    draft = None if (halves := _elliptic(instruction)) else _draft(instruction)
    return halves if draft is None else [Edit(draft, tuple(clause))]


def _elliptic(instruction: Instruction) -> list[Edit]:
    """Both edits of "the car red and the wheels black"; none for one edit of several things or looks."""
    if instruction.frame not in _ELLIPTIC:
        return []
    links = _LINKS.get(instruction.frame)
    for index, token in enumerate(instruction.arguments):
        parts = instruction.arguments[:index], instruction.arguments[index + 1 :]
        if token not in function_words.LIST_LINKS or (links and not all(links & set(part) for part in parts)):
            continue
        halves = [
            Edit(half, (instruction.verb, *part))
            for part in parts
            if (half := _draft(replace(instruction, arguments=part))) is not None and half.named
        ]
        if len(halves) == len(parts) and all(half.draft.looks or links for half in halves):
            return halves
    return []


def _swapped(clause: list[str]) -> Draft | None:
    """Read "B instead of A", "instead of A, B", "B rather than A" and "B in place of A"."""
    rather = tuple(clause[:2]) == frames.RATHER_WISH
    for phrase in (*frames.SWAPS, frames.RATHER_THAN) if rather else frames.SWAPS:
        for index in range(len(clause) - len(phrase)):
            if tuple(clause[index : index + len(phrase)]) != phrase:
                continue
            new, old = clause[:index], clause[index + len(phrase) :]
            if not new:
                end = next((i for i in range(1, len(old)) if old[i] == COMMA or old[i] in frames.SWAP_VERBS), None)
                if end is None:
                    return None
                old, new = old[:end], old[end + (old[end] == COMMA) :]
            return _instead(new, old) if new else None
    return None


def _instead(new: list[str], old: list[str]) -> Draft:
    """The draft of `new` instead of `old`: a thing, a garment, or only another look ("red instead of blue")."""
    instruction = instruct(new)
    made = tag(instruction.arguments)
    if made and instruction.frame in (verbs.MAKE, verbs.PAINT, verbs.CHANGE):
        draft = FRAMES[instruction.frame](instruction.verb, made)
        if draft.intent is Intent.APPEARANCE:
            return draft
    if made and instruction.frame == verbs.GIVE:
        made = list(FRAMES[verbs.GIVE](instruction.verb, made).made) or made
    named = tag(old)
    if is_look(made):
        place = find(named, *frames.SWAPPED_LOOK_LINKS)
        if place is not None or is_look(named):
            return appearance_draft(named[place + 1 :] if place is not None else (), made)
        return replace_draft(named, made)
    if is_look(named) and made:
        return state(made) or describe(made)
    return wear_draft(made) or replace_draft(named, made)


def _draft(instruction: Instruction) -> Draft | None:
    items = tag(instruction.arguments)
    if instruction.frame == verbs.KEEP:
        return None
    if not items:
        return _UNNAMED.get(instruction.frame)
    if instruction.frame == DESCRIBE:
        if _is_unknown_verb(items):
            return _unknown(items[1:])
        return _absence(items) or wear_draft(items) or state(items) or describe(items)
    return FRAMES[instruction.frame](instruction.verb, items)


def _is_unknown_verb(items: Words) -> bool:
    """Whether the sentence opens with a word that is in no list, followed by "the" or "my": it must be a verb."""
    if (
        len(items) < 3
        or items[0].kinds
        or items[0].text.endswith(inflection.DOING)
        or trigger(items) is not None
        or not items[0].text.isalpha()
        or items[0].text in ENGLISH_WORDS
    ):
        return False
    return items[1].text in frames.OBJECT_OPENINGS and items[0].text not in PRONOUNS


def _unknown(items: Words) -> Draft:
    """A verb that is in no list ("repalce", "zap") does what its preposition says."""
    for frame, prepositions in _BY_PREPOSITION.items():
        if find(items, *prepositions) is not None:
            return FRAMES[frame]("", items)
    return replace_draft(items, ())


def _absence(items: Words) -> Draft | None:
    """Read "no weeds", "the street without bins", "the logo should disappear" and "not a cat but a dog"."""
    if items[0].text in frames.ABSENCE_OPENINGS and len(items) > 1:
        return remove_draft(items[2:] if items[1].text == MORE else items[1:])
    if len(items) > 1 and (items[-1].text in frames.GONE or tuple(word.text for word in items[-2:]) == frames.TO_GO):
        return remove_draft([word for word in items[:-1] if word.text not in frames.TOWARDS_GONE])
    hidden = forbids_appearing([word.text for word in items])
    if hidden is not None:
        return remove_draft(items[:hidden])
    without = next((i for i in range(1, len(items) - 1) if _excludes(items, i)), None)
    if without is not None:
        return remove_draft(items[without + 1 :])
    contrast = find(items, NOT)
    if contrast is not None and items[contrast - 1].text == COMMA and contrast + 1 < len(items):
        new, old = items[: contrast - 1], items[contrast + 1 :]
        return describe(new) if is_look(old) else replace_draft(old, new)
    but = find(items, BUT, start=2)
    if items[0].text == NOT and but is not None and but + 1 < len(items):
        return replace_draft(items[1:but], items[but + 1 :])
    return None


def _excludes(items: Words, index: int) -> bool:
    """Whether "without", "minus" or "with no" stands here."""
    text = items[index].text
    return text in frames.EXCLUDING or (text == NO and items[index - 1].text == WITH)


def _joined(first: Draft, later: Draft) -> Draft | None:
    """Two clauses as one edit, where the second goes on about the first; None for an edit of its own."""
    if first.intent is Intent.REMOVE and later.intent in (Intent.ADD, Intent.REPLACE) and later.made:
        in_its_place = not later.place or is_pronoun(later.place) or text_of(later.place) in frames.IN_ITS_PLACE
        if in_its_place and not later.named:
            return replace_draft(first.named, [word for word in later.made if word.text not in frames.THERE_INSTEAD])
    if later.named or first.intent not in (Intent.DESCRIBE, Intent.APPEARANCE):
        return None
    if later.intent is Intent.APPEARANCE and first.intent is Intent.APPEARANCE and not first.named:
        return later
    if later.intent is Intent.APPEARANCE and first.named:
        return appearance_draft(first.named, later.looks, described=first.described)
    if first.intent is Intent.APPEARANCE:
        return None
    if not first.named:
        return later
    name = name_of(parse_noun_phrase(first.named))
    return replace(
        later,
        named=first.named,
        paint=f"{later.paint} {text_of(name)}" if later.looks else later.paint,
        removed=name if later.intent is Intent.REMOVE else later.removed,
    )
