"""Verbs that bring things in or take them out: give, add, apply, remove, dress. Instruction -> **draft** -> reading."""

from __future__ import annotations

from prompt_reading.grammar.changes import change, complement_of
from prompt_reading.grammar.descriptions import bestow, describe, part_of
from prompt_reading.grammar.draft import Draft, add_draft, appearance_draft, is_pronoun, remove_draft, replace_draft
from prompt_reading.grammar.looks import colours_only, is_look, quality_owner, thing_of
from prompt_reading.grammar.phrases import Words, bare, find, is_named, parse_noun_phrase, unless_picture
from prompt_reading.grammar.states import state
from prompt_reading.grammar.vocabulary import LOOKS, STRUCTURAL, Kind, Word
from prompt_reading.grammar.worn import is_someone, wear_draft
from prompt_reading.lexicon import appearance, frames, inflection, verbs, words
from prompt_reading.lexicon.function_words import (
    AND,
    AS,
    COMMA,
    FROM,
    IN,
    ON,
    POSSESSIVE,
    PUT,
    TO,
    WEARING,
    WHERE,
    WITH,
)


def give(_verb: str, items: Words) -> Draft:
    """Give A B; give B to A."""
    split = find(items, *frames.GIVE_LINKS)
    if split is not None and items[split].text == TO:
        owner, new = items[split + 1 :], items[:split]
    elif split is not None:
        owner, new = items[:split], items[split + 1 :]
    else:
        start = _second_phrase(items)
        owner, new = items[:start], items[start:]
    if not new:
        return state(items) or describe(items)
    return bestow(owner, ON, new)


def _second_phrase(items: Words) -> int:
    for index in range(1, len(items)):
        if index < len(items) - 1 and is_someone(items[index - 1 : index]) and items[index].text != POSSESSIVE:
            return index
        if is_named(items[:index]) and (
            items[index].is_a(Kind.DETERMINER) or items[index].kinds & LOOKS or items[index].is_a(Kind.ADJECTIVE)
        ):
            return index
    return len(items) - 1 if len(items) > 1 else len(items)


def add(verb: str, items: Words) -> Draft:
    """Add B (at place); looks can be added too, and parts that replace those in place."""
    worn = _put_on(verb, items)
    if worn is not None:
        return worn
    taken = _in_the_place_of(items)
    if taken is not None:
        return taken
    split = next((i for i in range(1, len(items)) if _is_place_preposition(verb, items, i)), None)
    if split is None:
        return add_draft(items, "", ())
    new, preposition, place = items[:split], items[split].text, items[split + 1 :]
    if is_look(place) and (owner := quality_owner(new)):
        return appearance_draft(owner, place)
    if is_look(new) and not new[0].text.isdigit() and not _is_depiction(new):
        return appearance_draft(unless_picture(place), new)
    if preposition in frames.PART_LINKS and not _is_one_more(new):
        part = part_of(new, added=True)
        if part is not None:
            return part
    if preposition == WITH:
        return add_draft(items, "", ())
    return add_draft(new, ON if preposition in frames.TOUCHING_LINKS else preposition, place)


def _is_one_more(items: Words) -> bool:
    """Whether a part is added to those in place ("a mirror"), not put in their stead ("a new roof", "these rims")."""
    phrase = parse_noun_phrase(items)
    if phrase.head is None or any(word.is_a(Kind.ADJECTIVE) for word in phrase.core):
        return False
    if phrase.determiners:
        return phrase.determiners[0] in words.INDEFINITE
    return not phrase.head.kinds & STRUCTURAL


def _is_depiction(items: Words) -> bool:
    """Whether a thing to be added is a picture ("a watercolor painting"), not a look."""
    head = parse_noun_phrase(items).head
    return (
        head is not None
        and head.text.split(" ")[-1] in appearance.DEPICTIONS
        and items[0].text not in words.DEMONSTRATIVES
    )


def _in_the_place_of(items: Words) -> Draft | None:
    """Read "a globe where the radio is" and "a drum in the harp's place" as replacements."""
    where = find(items, WHERE)
    if where is not None and items[-1].text in frames.STANDING:
        old = list(items[where + 1 :])
        while old and old[-1].text in frames.STANDING:
            old.pop()
        return replace_draft(old, items[:where]) if old else None
    inside = find(items, IN)
    if inside is not None and items[-2].text == POSSESSIVE and items[-1].text in frames.ITS_PLACE_NOUNS:
        return replace_draft(items[inside + 1 : -2], items[:inside])
    return None


def _is_place_preposition(verb: str, items: Words, index: int) -> bool:
    word = items[index]
    if word.text == FROM and verb in verbs.HANGING:
        return True
    if word.text == FROM and items[index - 1].text.endswith(inflection.DOING):
        return True
    return word.is_a(Kind.PREPOSITION) and word.text not in frames.NO_PLACE_FOR_THINGS


def _put_on(verb: str, items: Words) -> Draft | None:
    """Read "put this jacket on", "put the hat on the man" and "put him in a suit" as wearing."""
    if verb not in verbs.DRESSING_BY_PLACING:
        return None
    into = find(items, *frames.INSIDE_LINKS)
    if into is not None and is_someone(items[:into]) and items[into + 1 :]:
        return wear_draft([Word(WEARING), *items[into + 1 :]])
    return wear_draft([Word(PUT), *items])


def apply(verb: str, items: Words) -> Draft:
    """Apply B to A; use B for A."""
    split = find(items, *frames.APPLY_LINKS)
    if split is None:
        return state(items) or describe(items)
    new, old = items[:split], items[split + 1 :]
    if items[split].text == AS:
        return replace_draft(old, new)
    if is_look(new) or is_pronoun(new):
        return appearance_draft(unless_picture(old), new)
    return bestow(old, items[split].text, new) if verb in verbs.APPLYING else add(verb, items)


def remove(verb: str, items: Words) -> Draft:
    """Remove A (from B)."""
    split = find(items, *frames.REMOVE_LINKS)
    old = [Word(AND) if word.text == COMMA else word for word in (items[:split] if split else items)]
    if colours_only(bare(old)) and is_look(old):
        return appearance_draft(items[split + 1 :] if split else (), ())
    if split and quality_owner(old) is not None and not parse_noun_phrase(old).possessor:
        return appearance_draft(items[split + 1 :], ())
    if thing_of(old) != old:
        return appearance_draft(old, ())
    return remove_draft(unless_picture(old))


def dress(verb: str, items: Words) -> Draft:
    """Dress A in B; style the room in B."""
    split = find(items, *frames.DRESS_LINKS)
    if split is None or (verb == verbs.STYLING and not is_someone(items[:split])):
        return change(verb, items)
    rest = items[split + 1 :]
    while rest and rest[0].text in frames.BEFORE_OUTFIT:
        rest = rest[1:]
    return wear_draft([Word(WEARING), *rest]) or change(verb, items)


def show(_verb: str, items: Words) -> Draft:
    """Show A B: the rest is a description."""
    return wear_draft(items) or state(items) or complement_of(items) or describe(items)
