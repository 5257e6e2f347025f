"""Worn things: "wearing this jacket" -> **garment, and the part of the body that it covers** -> reading."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import Final

from composition.decision import BodyRegion
from prompt_reading.grammar.draft import Draft, Intent, demonstratives_off
from prompt_reading.grammar.phrases import Words, bare, find, text_of
from prompt_reading.grammar.vocabulary import REGIONS, STRUCTURAL, Kind, Word
from prompt_reading.lexicon import frames, function_words, inflection, people, wordings, words
from prompt_reading.lexicon.function_words import IN, ON, OUT, THE, WEARING, WITH


def region_of(items: Words) -> BodyRegion | None:
    """The body region that the garments among the words cover; several regions of trunk and legs make it full."""
    found = [REGIONS[word.text] for word in items if word.text in REGIONS]
    if not found:
        return None
    if BodyRegion.FULL in found or {BodyRegion.UPPER, BodyRegion.LOWER} <= set(found):
        return BodyRegion.FULL
    return found[0]


def trigger(items: Words) -> tuple[int, int] | None:
    """Where the words say that something is worn: (start, end) of the trigger itself."""
    for index, word in enumerate(items):
        for starts, length_of in _TRIGGERS:
            length = length_of(items[index + 1 :]) if word.text in starts else 0
            if length:
                return index, index + length
        if word.text in frames.WORN_LINKS and _says_worn(items, index):
            return index, index + 1
    return None


def _try_on(rest: Words) -> int:
    """Read "try on" and "try this jacket on"."""
    if rest and rest[0].text == ON:
        return 2
    return int(_has_worn(rest) and any(word.text == ON for word in rest))


def _dressed(rest: Words) -> int:
    return 2 if rest and rest[0].text in frames.DRESS_LINKS else 0


def _clad(rest: Words) -> int:
    return 2 if rest and rest[0].text == IN and _has_worn(rest[1:]) else 0


def _put_on(rest: Words) -> int:
    """Read "put on this jacket" and "put this jacket on (me)", but not "put a candle on the windowsill"."""
    if rest and rest[0].text == ON and _opens_with_worn(rest[1:]):
        return 2
    if len(rest) == 2 and rest[0].text in words.PRONOUNS and rest[1].text == ON:
        return 1
    return int(_ends_on_someone(rest))


def _dress_someone(rest: Words) -> int:
    """Read "dress him in a suit": everything up to "in" is the trigger."""
    link = find(rest, *frames.DRESS_SOMEONE_LINKS)
    return link + 2 if link is not None and is_someone(rest[:link]) else 0


_TRIGGERS: Final[tuple[tuple[frozenset[str], Callable[[Words], int]], ...]] = (
    (people.WEAR_VERBS, lambda rest: int(not (rest and rest[0].text == OUT))),
    (frames.TRYING, _try_on),
    (frames.DRESSED, _dressed),
    (frames.CLAD, _clad),
    (frames.PUTTING, _put_on),
    (frames.DRESSING, _dress_someone),
)
"""Words that may open a phrase of wearing, and how long the trigger is, given the words behind it; 0 for none."""


def is_someone(items: Words) -> bool:
    """Whether a phrase names a person, by a noun or by a pronoun."""
    return any(
        (word.is_a(Kind.PERSON) and word.text not in people.WEAK_PERSON_WORDS)
        or word.text in people.OBJECT_PRONOUNS
        or (word.text in people.WEAK_PERSON_WORDS and not qualifies(following))
        for word, following in zip_longest(items, items[1:])
    )


def qualifies(following: Word | None) -> bool:
    """Whether a word such as "baby" or "model" before this one only says what sort of thing it is."""
    return (
        following is not None
        and (not following.kinds or bool(following.kinds & (STRUCTURAL | {Kind.NEUTRAL})))
        and following.text.isalpha()
        and following.text not in words.ENGLISH_WORDS
        and not following.text.endswith(inflection.VERBAL_ENDINGS)
        and following.text not in people.WEAR_VERBS
    )


def _ends_on_someone(items: Words) -> bool:
    """Read "this hat on me", "the jacket on": the rest of "put ... on"."""
    on = next((i for i in range(1, len(items)) if items[i].text in frames.ONTO_SOMEONE), None)
    if (
        on is None
        or not _opens_with_worn(items[:on])
        or not any(word.kinds & {Kind.GARMENT, Kind.ACCESSORY} for word in items[:on])
    ):
        return False
    rest = [word for word in items[on + 1 :] if word.text not in function_words.PAUSES]
    return not rest or is_someone(rest)


def _has_worn(items: Words) -> bool:
    return any(word.kinds & {Kind.GARMENT, Kind.ACCESSORY} for word in items) or (
        bool(items) and items[0].text in words.PRONOUNS
    )


def _opens_with_worn(items: Words) -> bool:
    """Whether the phrase right here is a worn thing, not "a candle"."""
    for index, word in enumerate(items):
        if word.kinds & {Kind.GARMENT, Kind.ACCESSORY}:
            following = items[index + 1] if index + 1 < len(items) else None
            return following is None or following.text in function_words.PAUSES or following.is_a(Kind.PREPOSITION)
        if word.is_a(Kind.PREPOSITION):
            return False
    return bool(items) and all(word.text in words.PRONOUNS for word in items)


def _says_worn(items: Words, index: int) -> bool:
    """Read "in these jeans" anywhere, "in a suit" after a person or first, "with this jacket (on)" only first."""
    rest = items[index + 1 :]
    if not _opens_with_worn(rest) or not any(word.is_a(Kind.GARMENT) for word in rest):
        return False
    if items[index].text == WITH:
        return index == 0
    if index == 0 or rest[0].text in words.DEMONSTRATIVES:
        return True
    return is_someone(items[max(0, index - 6) : index]) and rest[0].text not in words.POSSESSIVES | {THE}


def wear_draft(items: Words) -> Draft | None:
    """The draft of words that say what someone wears, or None when they do not."""
    found = trigger(items)
    if found is None:
        return None
    start, end = found
    subject = [word for word in bare(items[:start]) if word.text not in frames.BEHIND_WEARER]
    garment = [word for word in items[end:] if word.text != ON or items[-1] is not word]
    made = demonstratives_off(garment)
    who = text_of(subject) if any(word.is_a(Kind.PERSON) or not word.kinds for word in subject) else ""
    if not who or who in people.OBJECT_PRONOUNS or subject[0].text in people.OBJECT_PRONOUNS:
        who = wordings.PERSON
    what = text_of([word for word in made if word.text not in words.PRONOUNS]) or wordings.CLOTHING
    return Draft(
        intent=Intent.WEAR, made=tuple(garment), wearer=tuple(subject), paint=f"{who} {WEARING} {what}".strip()
    )
