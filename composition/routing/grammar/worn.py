"""Worn things: "wearing this jacket" -> **garment, and the part of the body that it covers** -> reading."""

from __future__ import annotations

from itertools import zip_longest
from typing import Final

from composition.routing.grammar.draft import Draft, Intent, demonstratives_off
from composition.routing.grammar.phrases import Words, bare, text_of
from composition.routing.grammar.vocabulary import REGIONS, STRUCTURAL, Kind, Word
from composition.routing.lexicon import people, words
from composition.types import BodyRegion

_PAUSES: Final = frozenset({",", ".", "?", "!", ";", "and", "with", "please"})


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
        text = word.text
        following = items[index + 1].text if index + 1 < len(items) else ""
        if text in people.WEAR_VERBS and not (text == "worn" and following == "out"):
            return index, index + 1
        if text in ("try", "tries", "trying", "tried"):
            if following == "on":
                return index, index + 2
            if _has_worn(items[index + 1 :]) and any(w.text == "on" for w in items[index + 1 :]):
                return index, index + 1
        if text == "dressed" and following in ("in", "as", "like", "up", "with"):
            return index, index + 2
        if text in ("clad", "clothed") and following == "in" and _has_worn(items[index + 2 :]):
            return index, index + 2
        if text == "in" and _worn_after_in(items, index):
            return index, index + 1
        if text in ("put", "puts", "putting") and following == "on" and _opens_with_worn(items[index + 2 :]):
            return index, index + 2
        if text in ("put", "puts", "putting", "place") and _ends_on_someone(items[index + 1 :]):
            return index, index + 1
        if text in ("dress", "dresses", "dressing") and following and is_someone(items[index + 1 : index + 3]):
            link = next((i for i in range(index + 1, len(items)) if items[i].text in ("in", "as", "like")), None)
            if link is not None:
                return index, link + 1
    return None


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
        and not following.text.endswith(("ing", "ed"))
        and following.text not in people.WEAR_VERBS
    )


def _ends_on_someone(items: Words) -> bool:
    """Read "this hat on me", "the jacket on": the rest of "put ... on"."""
    on = next((i for i in range(1, len(items)) if items[i].text in ("on", "onto", "over", "to")), None)
    if (
        on is None
        or not _opens_with_worn(items[:on])
        or not any(word.kinds & {Kind.GARMENT, Kind.ACCESSORY} for word in items[:on])
    ):
        return False
    rest = [word for word in items[on + 1 :] if word.text not in _PAUSES]
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
            return following is None or following.text in _PAUSES or following.is_a(Kind.PREPOSITION)
        if word.is_a(Kind.PREPOSITION):
            return False
    return bool(items) and all(word.text in words.PRONOUNS for word in items)


def _worn_after_in(items: Words, index: int) -> bool:
    """Read "in these jeans" anywhere; "in a suit" after a person or at the start."""
    rest = items[index + 1 :]
    if not rest or not _opens_with_worn(rest) or not any(w.kinds & {Kind.GARMENT} for w in rest):
        return False
    if rest[0].text in words.DEMONSTRATIVES:
        return True
    if index == 0:
        return True
    return is_someone(items[max(0, index - 6) : index]) and rest[0].text not in words.POSSESSIVES | {"the"}


def wear_draft(items: Words) -> Draft | None:
    """The draft of words that say what someone wears, or None when they do not."""
    found = trigger(items)
    if found is None:
        return None
    start, end = found
    subject = [word for word in bare(items[:start]) if word.text not in ("is", "are", "who", "'s", "to", "while", "of")]
    garment = [word for word in items[end:] if word.text != "on" or items[-1] is not word]
    made = demonstratives_off(garment)
    who = text_of(subject) if any(word.is_a(Kind.PERSON) or not word.kinds for word in subject) else ""
    if not who or who in people.OBJECT_PRONOUNS or subject[0].text in people.OBJECT_PRONOUNS:
        who = "person"
    what = text_of(made)
    return Draft(intent=Intent.WEAR, made=tuple(garment), wearer=tuple(subject), paint=f"{who} wearing {what}".strip())
