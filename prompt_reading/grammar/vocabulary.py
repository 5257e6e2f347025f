"""The lexicon, compiled: prompt text -> **words with their kinds** -> phrases -> reading.

Phrases of several words that mean one thing ("navy blue", "dining table", "in front of") become one `Word`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from composition.decision import BodyRegion
from prompt_reading.lexicon import appearance, function_words, garments, people, spelling, structures, verbs, words
from prompt_reading.lexicon import inflection as inflect
from prompt_reading.lexicon.function_words import POSSESSIVE, STOP


class Kind(IntEnum):
    """What a word can be; a word may be several."""

    PERSON = 1
    BODY_PART = 2
    GARMENT = 3
    ACCESSORY = 4
    VEHICLE = 5
    VEHICLE_PART = 6
    FURNITURE = 7
    FURNITURE_PART = 8
    COLOUR = 9
    SHADE = 10
    MATERIAL = 11
    FINISH = 12
    PATTERN = 13
    STYLE = 14
    QUALITY = 15
    NEUTRAL = 16
    PREPOSITION = 17
    DETERMINER = 18
    PICTURE = 19
    BACKGROUND = 20
    ADJECTIVE = 21


Kinds = frozenset[Kind]
NO_KINDS: Final[Kinds] = frozenset()
LOOKS: Final[Kinds] = frozenset({Kind.COLOUR, Kind.SHADE, Kind.MATERIAL, Kind.FINISH, Kind.PATTERN, Kind.STYLE})
STRUCTURAL: Final[Kinds] = frozenset({Kind.VEHICLE, Kind.VEHICLE_PART, Kind.FURNITURE, Kind.FURNITURE_PART})


@dataclass(frozen=True, slots=True)
class Word:
    """One meaning-bearing unit of a prompt, lower case; `text` may hold several written words."""

    text: str
    kinds: Kinds = NO_KINDS

    def is_a(self, kind: Kind) -> bool:
        """Whether the lexicon lists it as `kind`."""
        return kind in self.kinds


_CHARACTERS: Final = str.maketrans(dict(spelling.CHARACTERS))
_SENTENCE_OPENERS: Final = (
    function_words.SENTENCE_OPENERS
    | {base.split(" ")[0] for bases in verbs.VERBS.values() for base in bases} - verbs.AMBIGUOUS_VERBS
)


def normalise(prompt: str) -> str:
    """Lower case, compatibility forms folded, straight quotes and dashes, single spaces."""
    text = unicodedata.normalize("NFKC", prompt).translate(_CHARACTERS).lower()
    if spelling.PLURAL_POSSESSIVE.search(text) and not spelling.QUOTATION.search(text):
        text = spelling.PLURAL_POSSESSIVE.sub(POSSESSIVE, text)
    return " ".join(text.split())


def tokenise(text: str) -> list[str]:
    """Written words and punctuation of a normalised text; a possessive "'s" is its own token.

    A full stop inside a word ("1.5", "Dr. Martens", "U.S.", "logo.png") is a letter of it.
    """
    tokens: list[str] = []
    for written in spelling.TOKEN.findall(text):
        token = spelling.SHORTHAND.get(written, written)
        if token in _SENTENCE_OPENERS and tokens and len(tokens[-1]) > 1 and tokens[-1][-1] == STOP:
            tokens[-1:] = [tokens[-1][:-1], STOP]
        if token.endswith(POSSESSIVE) and len(token) > 2 and token not in function_words.CONTRACTIONS:
            tokens += [token[:-2], POSSESSIVE]
        else:
            tokens.append(token)
    return tokens


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _nouns(text: str) -> list[str]:
    return [form for item in _listed(text) for form in inflect.noun_forms(item)]


def _build() -> dict[tuple[str, ...], set[Kind]]:
    table: dict[tuple[str, ...], set[Kind]] = {}

    def enter(items: Iterable[str], kind: Kind) -> None:
        for item in items:
            table.setdefault(tuple(tokenise(item)), set()).add(kind)

    enter(people.PERSON_WORDS, Kind.PERSON)
    enter(people.BODY_PARTS, Kind.BODY_PART)
    for listed in garments.GARMENTS.values():
        enter(_nouns(listed), Kind.GARMENT)
    enter(_nouns(garments.UNPLACED_ACCESSORIES), Kind.ACCESSORY)
    enter(_nouns(structures.VEHICLES), Kind.VEHICLE)
    enter(_nouns(structures.VEHICLE_PARTS), Kind.VEHICLE_PART)
    enter(_nouns(structures.FURNITURE), Kind.FURNITURE)
    enter(_nouns(structures.FURNITURE_PARTS), Kind.FURNITURE_PART)
    enter(_listed(appearance.COLOURS), Kind.COLOUR)
    enter(appearance.SHADES, Kind.SHADE)
    enter(_listed(appearance.MATERIALS), Kind.MATERIAL)
    enter(_listed(appearance.FINISHES), Kind.FINISH)
    enter(_listed(appearance.PATTERNS), Kind.PATTERN)
    enter(_listed(appearance.STYLES), Kind.STYLE)
    enter(appearance.QUALITY_NOUNS, Kind.QUALITY)
    enter(_listed(words.PLACE_PREPOSITIONS), Kind.PREPOSITION)
    enter(words.PREPOSITIONS, Kind.PREPOSITION)
    enter(words.DETERMINERS, Kind.DETERMINER)
    enter(words.PICTURE_WORDS, Kind.PICTURE)
    enter(words.BACKGROUND_WORDS, Kind.BACKGROUND)
    enter(words.PLAIN_ADJECTIVES, Kind.ADJECTIVE)
    for item in _nouns(structures.NOT_STRUCTURAL) + _nouns(words.NEUTRAL_COMPOUNDS) + list(people.NOT_A_PERSON):
        table.setdefault(tuple(tokenise(item)), {Kind.NEUTRAL})
    return table


_PHRASES: Final[Mapping[tuple[str, ...], Kinds]] = {key: frozenset(kinds) for key, kinds in _build().items()}
_LONGEST: Final[dict[str, int]] = {}
for _key in _PHRASES:
    _LONGEST[_key[0]] = max(len(_key), _LONGEST.get(_key[0], 1))

REGIONS: Final[Mapping[str, BodyRegion]] = {
    form: region for region, listed in garments.GARMENTS.items() for form in _nouns(listed)
}


def _derived_kinds(token: str) -> Kinds:
    """Kinds of a token that is not listed: hex colours, and compounds written with a hyphen."""
    if token.startswith("#"):
        return frozenset({Kind.COLOUR})
    if "-" not in token:
        return NO_KINDS
    parts = token.split("-")
    spaced = _PHRASES.get(tuple(parts))
    if spaced:
        return spaced
    if parts[-1] in appearance.COLOURED_SUFFIXES:
        return frozenset({Kind.COLOUR})
    if parts[-1] in appearance.TEXTURED_SUFFIXES:
        return frozenset({Kind.STYLE if parts[-1] in appearance.STYLED_SUFFIXES else Kind.MATERIAL})
    kinds = [_PHRASES.get((part,), NO_KINDS) for part in parts]
    if all(k & LOOKS for k in kinds):
        return kinds[-1] & LOOKS
    return kinds[-1] if kinds[-1] & STRUCTURAL else NO_KINDS


def tag(tokens: Sequence[str]) -> list[Word]:
    """The longest listed phrases first, each one `Word`; what is not listed keeps its own."""
    result: list[Word] = []
    position, count = 0, len(tokens)
    while position < count:
        token = tokens[position]
        for length in range(min(_LONGEST.get(token, 0), count - position), 0, -1):
            kinds = _PHRASES.get(tuple(tokens[position : position + length]))
            if kinds is not None:
                result.append(Word(" ".join(tokens[position : position + length]), kinds))
                position += length
                break
        else:
            result.append(Word(token, _derived_kinds(token)))
            position += 1
    return result
