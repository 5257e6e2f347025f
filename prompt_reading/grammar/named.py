"""What a remark names: tokens -> **a list of things, as they would be looked for** -> what is kept or refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from prompt_reading.grammar.instruction import Tokens, opening
from prompt_reading.grammar.phrases import Words, name_of, parse_noun_phrase
from prompt_reading.grammar.remark import BOUNDARIES, STATING, STAYING, UNCHANGED, Name, is_statement, starts_something
from prompt_reading.grammar.vocabulary import LOOKS, Kind, Word, tag
from prompt_reading.lexicon import appearance, frames, function_words, people, remarks, wordings, words
from prompt_reading.lexicon.function_words import COMMA, OF, POSSESSIVE
from prompt_reading.lexicon.inflection import DONE

LONGEST_NAME: Final = 14
"""In tokens."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a noun phrase names: as it would be looked for, and whether it has a place of its own in the image."""

    words: Name
    solid: bool = True


_ONLY_PRONOUNS: Final = remarks.ANAPHORS - words.DETERMINERS
_NO_NOUNS: Final = BOUNDARIES | words.PREPOSITIONS


def list_names(tokens: Tokens, at: int) -> tuple[tuple[Named, ...], int]:
    """The things that are listed at `at`, and the index behind the last."""
    names: list[Named] = []
    while True:
        item, end = _item(tokens, at)
        if not item:
            return tuple(names), at if not names else _before_link(tokens, at)
        name = _name(item)
        if name is not None:
            names.append(name)
        at = end
        following = at + 1
        if at < len(tokens) and tokens[at] == COMMA and following < len(tokens):
            if tokens[following] in remarks.ALTERNATION:
                following += 1
            elif tokens[following] not in remarks.DEFINITE and not _is_listed(tokens, following):
                return tuple(names), at
        elif at >= len(tokens) or tokens[at] not in remarks.ALTERNATION:
            return tuple(names), at
        if following >= len(tokens) or starts_something(tokens, following) or is_statement(tokens, following):
            return tuple(names), at
        at = following


def _is_listed(tokens: Tokens, at: int) -> bool:
    """Whether the bare noun at `at` is one of a list that "and" or "or" ends: "her face, *hair*, or hands"."""
    for index in range(at + 1, min(at + 5, len(tokens) - 1)):
        if tokens[index] in remarks.ALTERNATION:
            return not starts_something(tokens, index + 1) and not starts_something(tokens, at)
        if tokens[index] in function_words.SENTENCE_ENDS:
            return False
    return False


def _before_link(tokens: Tokens, at: int) -> int:
    while at > 0 and tokens[at - 1] in remarks.ALTERNATION | {COMMA}:
        at -= 1
    return at


def _item(tokens: Tokens, at: int) -> tuple[list[Word], int]:
    """One noun phrase, without what is said about it, and the index behind it."""
    item: list[Word] = []
    has_noun = False
    tagged = tag(tokens[at : at + LONGEST_NAME])
    for position, word in enumerate(tagged):
        following = tagged[position + 1] if position + 1 < len(tagged) else None
        if word.text in BOUNDARIES | remarks.ALTERNATION | STATING | function_words.RELATIVES | frames.COMPANY:
            break
        if (word.is_a(Kind.PREPOSITION) or word.text in words.PREPOSITIONS) and not (item and word.text == OF):
            break
        if item and has_noun and (opening(tokens, UNCHANGED, at) or opening(tokens, STAYING, at)):
            break
        if has_noun and item[-1].text not in (OF, POSSESSIVE) and _is_predicate(word, following):
            break
        if item and (item[0].text in _ONLY_PRONOUNS or (has_noun and _is_participle(word))):
            break
        item.append(word)
        at += word.text.count(" ") + 1
        has_noun = has_noun or not (word.is_a(Kind.DETERMINER) or word.kinds & (LOOKS | {Kind.ADJECTIVE}))
        if word.text in (OF, POSSESSIVE):
            has_noun = False
        has_noun = has_noun or word.text in people.OBJECT_PRONOUNS
    return item, at


def _is_participle(word: Word) -> bool:
    """Whether a word behind a noun says what was done to it: "the curtains *changed*"."""
    return not word.kinds and word.text.endswith(DONE) and word.text not in words.NOT_ADJECTIVES


def _is_predicate(word: Word, following: Word | None) -> bool:
    """Whether a word behind a noun says how that is to be: "the car *red*", "the car *a dark blue*"."""
    if word.is_a(Kind.DETERMINER):
        return True
    if not word.kinds & (LOOKS | {Kind.ADJECTIVE}):
        return False
    return (
        following is None
        or following.text in BOUNDARIES
        or bool(following.kinds)
        or following.text in words.PREPOSITIONS
    )


def _name(item: Words) -> Named | None:
    """What a noun phrase names; of a quality ("the car's shape") its owner, which has the place; None for "it"."""
    if all(word.text in people.OBJECT_PRONOUNS for word in item):
        return Named((Word(wordings.PERSON, frozenset({Kind.PERSON})),))
    phrase = parse_noun_phrase(item)
    if phrase.head is not None and phrase.head.text in remarks.PARTS_OF_SOMETHING and phrase.possessor:
        phrase = parse_noun_phrase(phrase.possessor)
    name = list(name_of(phrase))
    while len(name) > 1 and name[0].text in remarks.REDUNDANT:
        name.pop(0)
    if item[-1].text in function_words.PROP_WORDS:
        return Named((*name, item[-1]))
    if not name:
        return None
    if _has_no_place(name[-1]):
        owner = _name(phrase.possessor) if phrase.possessor else None
        return Named(owner.words if owner else tuple(name), solid=False)
    return Named(tuple(name))


def solid_names(names: tuple[Named, ...]) -> tuple[Name, ...]:
    """Those that have a place of their own in the image."""
    return tuple(name.words for name in names if name.solid)


def all_names(names: tuple[Named, ...]) -> tuple[Name, ...]:
    """All of them, a quality by its owner."""
    return tuple(name.words for name in names)


def _has_no_place(word: Word) -> bool:
    return (
        word.text in remarks.UNPROTECTABLE | words.PRONOUNS
        or (word.text in appearance.PURE_QUALITY_NOUNS and not word.is_a(Kind.MATERIAL))
        or word.is_a(Kind.PICTURE)
    )
