"""Sentences without an action: "blue car", "car with these sport rims", "texture of marble on the table"."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from prompt_reading.grammar.draft import Draft, Intent, add_draft, appearance_draft, demonstratives_off
from prompt_reading.grammar.looks import is_look
from prompt_reading.grammar.phrases import (
    NounPhrase,
    Words,
    bare,
    is_whole_picture,
    name_of,
    parse_noun_phrase,
    text_of,
    unless_picture,
)
from prompt_reading.grammar.vocabulary import LOOKS, Kind, Word
from prompt_reading.grammar.worn import is_someone, region_of, wear_draft
from prompt_reading.lexicon import appearance, frames, people, words
from prompt_reading.lexicon.function_words import IN, OF, WEARING
from prompt_reading.lexicon.structures import ALWAYS_PRESENT_PARTS

_SOME: Final = words.INDEFINITE | words.QUANTIFIERS - words.WHOLES


def describe(items: Words) -> Draft:
    """What a description of the wanted picture asks for."""
    if len(items) > 1 and _is_plain_colour(items[-1]) and (is_thing(items[-2]) or items[-2].is_a(Kind.PICTURE)):
        return appearance_draft(unless_picture(items[:-1]), items[-1:])
    phrase = parse_noun_phrase(items)
    if phrase.head is None:
        return Draft(intent=Intent.DESCRIBE, paint=text_of(items))
    shown = phrase.possessor or phrase.post(OF)
    if phrase.head.is_a(Kind.PICTURE) and shown and not any(word.kinds & LOOKS for word in phrase.core):
        return replace(describe(shown), paint=text_of(bare(demonstratives_off(items))))
    return (
        _look_of_something(phrase)
        or _something_with_look(phrase, items)
        or _thing_with_part(phrase, items)
        or _thing(phrase, items)
    )


def _is_plain_colour(word: Word) -> bool:
    return word.is_a(Kind.COLOUR) and not word.is_a(Kind.MATERIAL) and word.text not in appearance.AMBIGUOUS_COLOURS


def is_thing(word: Word) -> bool:
    """Whether a word can be the noun of a thing."""
    return (
        not word.kinds & (LOOKS | {Kind.ADJECTIVE, Kind.PREPOSITION, Kind.DETERMINER})
        and word.text not in words.PRONOUNS | frames.NO_NOUNS
    )


def insertion(items: Words) -> Draft:
    """Something new, at a place when one is named."""
    place = next((i for i in range(1, len(items)) if is_place(items[i])), None)
    if place is None:
        return add_draft(items, "", ())
    return add_draft(items[:place], items[place].text, items[place + 1 :])


def is_place(word: Word) -> bool:
    """Whether a preposition says where something is."""
    return word.is_a(Kind.PREPOSITION) and word.text not in frames.NOT_PLACES


def _look_of_something(phrase: NounPhrase) -> Draft | None:
    """Read "wooden texture on the vase", "texture of marble for the table", "leather for the sofa", "cartoon style"."""
    core = phrase.core
    asked = phrase.post(*frames.LOOK_POSTS)
    if phrase.possessor and core[-1].text in appearance.PURE_QUALITY_NOUNS and asked and is_look(asked):
        return appearance_draft(phrase.possessor, asked)
    if len(core) > 1 and core[-1].text in appearance.DEPICTIONS and any(word.kinds & LOOKS for word in core):
        core = tuple(word for word in core if word.kinds & LOOKS or word.is_a(Kind.QUALITY))
    article = [Word(text) for text in phrase.determiners[:1] if text in words.INDEFINITE]
    if not is_look([*article, *core]):
        return None
    look: tuple[Word, ...] = core
    owner: tuple[Word, ...] = ()
    located = any(preposition in frames.LOOK_PLACES for preposition, _ in phrase.posts)
    for preposition, rest in phrase.posts:
        if preposition in frames.LOOK_RECEIVERS or (
            preposition == OF and not is_look(rest) and core[-1].is_a(Kind.QUALITY) and not located
        ):
            owner = owner or rest
        elif preposition == OF and (is_look(rest) or core[-1].is_a(Kind.QUALITY)):
            look = (*look, Word(OF, frozenset({Kind.PREPOSITION})), *rest)
        elif preposition in frames.LIKENESS:
            look = (*look, *rest)
    owner = owner or phrase.possessor
    if not owner and _is_surface(phrase):
        return None
    if core[-1].text in appearance.MANNERS and phrase.possessor and not owner[1:]:
        owner = ()
    return appearance_draft(unless_picture(owner), look)


def _is_surface(phrase: NounPhrase) -> bool:
    """Whether a material is meant as the thing in the picture: "the tiles in black", "blush pink wallpaper"."""
    last = phrase.core[-1]
    if last.text in appearance.SURFACES:
        return True
    definite = bool(phrase.determiners) and phrase.determiners[0] not in words.INDEFINITE | words.DEMONSTRATIVES
    return last.is_a(Kind.MATERIAL) and not last.is_a(Kind.COLOUR) and (definite or phrase.post(IN) is not None)


def _something_with_look(phrase: NounPhrase, items: Words) -> Draft | None:
    """Read "blue car", "car in red", "table with marble texture", "house in the style of Monet"."""
    name = name_of(phrase, described=True)
    own = [word for word in phrase.core[: len(phrase.core) - len(name)] if word.kinds & LOOKS]
    if all(word.text in appearance.WEAK_LOOKS for word in own):
        own = []
    extra: list[Word] = []
    for preposition, rest in phrase.posts:
        if preposition in frames.LOOK_POSTS or preposition in frames.PARTICIPLES:
            stripped = rest[1:] if rest and rest[0].text in frames.BEFORE_POST_LOOK else rest
            if is_look(stripped):
                extra += stripped
                continue
        if preposition in frames.CLAUSE_POSTS and not own:
            return None
    if not own and not extra:
        return None
    if is_whole_picture(phrase):
        return appearance_draft((), [*own, *extra])
    draft = appearance_draft(_described_name(phrase, items), [*own, *extra], described=True)
    return Draft(
        intent=draft.intent,
        named=draft.named,
        described=True,
        looks=draft.looks,
        paint=text_of(bare(demonstratives_off(items))),
    )


def _described_name(phrase: NounPhrase, items: Words) -> Words:
    side = [Word(phrase.position.value)] if phrase.position else []
    determiners = [Word(text, frozenset({Kind.DETERMINER})) for text in phrase.determiners]
    return [*determiners, *side, *phrase.core]


def _thing_with_part(phrase: NounPhrase, items: Words) -> Draft | None:
    """Read "car with these sport rims": the part is repainted, the whole is context."""
    rest = phrase.post(*frames.PART_POSTS)
    if not rest:
        return None
    rest = rest[:-1] if len(rest) > 1 and rest[-1].is_a(Kind.ADJECTIVE) else rest
    part = parse_noun_phrase(rest)
    head = part.head
    if head is None:
        return None
    paint = text_of(bare(demonstratives_off(items)))
    if head.kinds & {Kind.GARMENT} and region_of(rest) is not None and is_someone(phrase.core):
        return Draft(intent=Intent.WEAR, made=tuple(rest), paint=paint)
    pointed = bool(part.determiners) and part.determiners[0] in words.DEMONSTRATIVES
    if pointed or is_part(head):
        return _part_draft(part, rest, paint, pointed=pointed)
    return Draft(intent=Intent.ADD, made=tuple(rest), place=phrase.core, paint=paint)


def is_part(head: Word) -> bool:
    """Whether the noun names a part that things of its kind have already."""
    last = head.text.split(" ")[-1]
    return last in ALWAYS_PRESENT_PARTS or head.is_a(Kind.BODY_PART)


def _part_draft(part: NounPhrase, items: Words, paint: str, *, pointed: bool) -> Draft:
    """A part is repainted in place; when only its colour or material is said, that is all that changes."""
    looks = [word for word in part.core[:-1] if word.kinds & LOOKS]
    replaced = pointed or any(word.is_a(Kind.ADJECTIVE) for word in part.core)
    intent = Intent.APPEARANCE if looks and not replaced else Intent.REPLACE
    return Draft(intent=intent, named=tuple(items), described=True, looks=tuple(looks), made=tuple(items), paint=paint)


def part_of(items: Words, *, added: bool = False) -> Draft | None:
    """A part that the thing in the photo has already, to be repainted in place.

    Args:
        items: the part's noun phrase.
        added: the verb says that it is put on, so that it replaces the old one whatever its look.
    """
    phrase = parse_noun_phrase(items)
    if phrase.head is None or not is_part(phrase.head):
        return None
    return _part_draft(phrase, items, text_of(bare(demonstratives_off(items))), pointed=added)


def _thing(phrase: NounPhrase, items: Words) -> Draft:
    """A thing as it should be: whatever of that name is in the picture is repainted."""
    paint = text_of(bare(demonstratives_off(items)))
    pronoun = phrase.head is None or phrase.head.text in words.PRONOUNS
    if pronoun or is_whole_picture(phrase):
        return Draft(intent=Intent.DESCRIBE, paint=paint)
    if is_someone(phrase.core):
        return Draft(intent=Intent.ADD, made=tuple(items), place=phrase.core, paint=paint)
    if (
        phrase.determiners
        and phrase.determiners[0] in _SOME
        and any(is_place(Word(preposition, frozenset({Kind.PREPOSITION}))) for preposition, _ in phrase.posts)
    ):
        return insertion(items)
    held = [word for word in items if word.text in people.HOLD_VERBS]
    if held:
        return add_draft(items, "", ())
    return Draft(intent=Intent.DESCRIBE, named=tuple(items), described=True, made=phrase.core, paint=paint)


def bestow(owner: Words, preposition: str, new: Words) -> Draft:
    """A gets B: a look, a garment, another part than it has, or something it never had."""
    worn = wear_draft([Word(WEARING), *new]) if is_someone(owner) else None
    if worn is not None and any(word.kinds & {Kind.GARMENT, Kind.ACCESSORY} for word in worn.made):
        return worn
    if is_look(new):
        return appearance_draft(owner, new)
    part = part_of(new)
    if part is not None:
        return part
    return add_draft(new, preposition, owner)
