"""Looks: phrases that only say how something looks ("emerald green", "marble texture", "in the style of Monet").

Where it sits: words -> **is this a look, and whose?** -> drafts.
"""

from __future__ import annotations

from typing import Final

from prompt_reading.grammar.phrases import Words, parse_noun_phrase
from prompt_reading.grammar.vocabulary import LOOKS, Kind, Word
from prompt_reading.lexicon import appearance, frames, function_words, words
from prompt_reading.lexicon.function_words import THE

_OWNED: Final = appearance.PURE_QUALITY_NOUNS | appearance.WHOLES_OF_VEHICLES


def is_look(items: Words, *, forced: bool = False) -> bool:
    """Whether a phrase says only how something looks.

    Args:
        items: the phrase, "in" or "with" already taken off.
        forced: after a verb of painting, where "rose" and "orange" are colours whatever their article.
    """
    core = [word for word in items if word.text not in function_words.LOOSE_MARKS]
    while core and core[-1].text in frames.BEHIND_LOOK:
        core.pop()
    if not core or _is_surface_noun(core):
        return False
    named = _quality_named(core)
    if named is not None:
        return named
    if not forced and _names_a_thing(core):
        return False
    return all(_may_stand_in_look(word) for word in core) and any(
        word.kinds & LOOKS or word.is_a(Kind.QUALITY) for word in core
    )


def _quality_named(core: Words) -> bool | None:
    """Whether "marble texture" or "eyeshadow palette" is a look; None when no noun for a quality heads the phrase."""
    end = next(
        (i for i, w in enumerate(core) if i and w.is_a(Kind.PREPOSITION) and w.text not in frames.LOOK_COMPARISONS),
        len(core),
    )
    head = core[end - 1]
    if end > 1 and head.text in appearance.LOOSE_QUALITY_NOUNS and not _qualified(core[end - 2]):
        return False
    pointed = core[0].text in words.DEMONSTRATIVES | {THE}
    return True if head.text in appearance.QUALITY_NOUNS and (pointed or not head.is_a(Kind.MATERIAL)) else None


def _may_stand_in_look(word: Word) -> bool:
    return (
        bool(word.kinds & LOOKS)
        or word.is_a(Kind.QUALITY)
        or word.text.endswith(function_words.PERCENT)
        or word.text in frames.LOOK_WORDS | appearance.SMEARS | frames.PARTICIPLES
    )


def _qualified(before: Word) -> bool:
    """Whether the word before "palette" or "print" makes it a look, unlike "eyeshadow palette"."""
    return (
        bool(before.kinds & LOOKS)
        or before.is_a(Kind.QUALITY)
        or before.is_a(Kind.DETERMINER)
        or before.is_a(Kind.ADJECTIVE)
    )


def _is_surface_noun(core: Words) -> bool:
    """Whether a noun such as "wallpaper" or "painting" stands there without a look: then it is the thing itself."""
    last = core[-1].text
    return (
        last in appearance.QUALITY_NOUNS - appearance.PURE_QUALITY_NOUNS
        and core[0].text not in words.DEMONSTRATIVES
        and not any(word.kinds & LOOKS for word in core)
        and all(word.is_a(Kind.ADJECTIVE) or word.is_a(Kind.DETERMINER) for word in core[:-1])
    )


def _names_a_thing(core: Words) -> bool:
    """Whether a material, pattern or ambiguous colour has an article: "an orange", "a glass", "a zebra" are things."""
    if core[0].text not in words.INDEFINITE or len(core) < 2:
        return False
    last = core[-1]
    if last.text in appearance.AMBIGUOUS_COLOURS:
        return not any(word.kinds & {Kind.SHADE} for word in core[1:-1])
    if last.text in appearance.PATTERNED_THINGS:
        return True
    return last.is_a(Kind.MATERIAL) and " " not in last.text and not last.kinds & {Kind.COLOUR, Kind.FINISH, Kind.STYLE}


def colours_only(items: Words) -> bool:
    """Whether a look changes nothing but colour."""
    kinds = [word.kinds & LOOKS for word in items if word.kinds & LOOKS]
    return (
        any(Kind.COLOUR in k for k in kinds)
        and all(k & {Kind.COLOUR, Kind.SHADE} for k in kinds)
        and not any(word.is_a(Kind.QUALITY) and word.text not in appearance.COLOUR_NOUNS for word in items)
    )


def without_looks(items: Words, replaced_by: Words) -> tuple[Word, ...]:
    """A name without the looks that `replaced_by` takes the place of: a red car painted blue is a blue car."""
    new = {kind for word in replaced_by for kind in word.kinds & LOOKS}
    if Kind.SHADE in new or Kind.COLOUR in new:
        new |= {Kind.COLOUR, Kind.SHADE}
    if Kind.MATERIAL in new:
        new |= {Kind.FINISH}
    if not new or Kind.STYLE in new or any(word.is_a(Kind.QUALITY) for word in replaced_by):
        new |= {Kind.COLOUR, Kind.SHADE, Kind.MATERIAL, Kind.FINISH, Kind.PATTERN}
    kept = tuple(word for index, word in enumerate(items) if index == len(items) - 1 or not word.kinds & new)
    return kept or tuple(items)


def quality_owner(items: Words) -> Words | None:
    """Whose look a phrase is about: "the colour of the sofa", "the sofa's fabric"; None when it is about no look."""
    phrase = parse_noun_phrase(items)
    head = phrase.head
    if head is not None and head.is_a(Kind.MATERIAL) and phrase.possessor:
        return phrase.possessor
    if head is None or head.text not in appearance.PURE_QUALITY_NOUNS:
        return None
    if phrase.possessor:
        return phrase.possessor
    owner = phrase.post(*frames.LOOK_OWNER_LINKS)
    if owner:
        return owner
    return [
        word
        for word in phrase.core[:-1]
        if not word.kinds & LOOKS or (word.is_a(Kind.MATERIAL) and len(phrase.core) > 2)
    ]


def thing_of(items: Words) -> Words:
    """What has the quality that a phrase names ("the colour of the table", "the car's body"); else the phrase itself.

    A quality, and a noun such as "body" that means all of a vehicle, is nothing that could be found or repainted alone.
    """
    phrase = parse_noun_phrase(items)
    while phrase.head is not None and phrase.head.text in _OWNED:
        owner = phrase.possessor or phrase.post(*frames.LOOK_OWNER_LINKS)
        if not owner or is_look(owner):
            break
        head, phrase = phrase.head, parse_noun_phrase(owner)
        if head.text in appearance.WHOLES_OF_VEHICLES and not (phrase.head and phrase.head.is_a(Kind.VEHICLE)):
            break
        items = owner
    return items
