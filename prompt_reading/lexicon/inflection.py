"""English inflection: plurals of nouns and forms of verbs, for compiling the lexicon and for telling plurals."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from prompt_reading.lexicon.listing import word_set

IRREGULAR_PLURALS: Final[Mapping[str, str]] = {
    "person": "people", "man": "men", "woman": "women", "child": "children", "foot": "feet", "tooth": "teeth",
    "goose": "geese", "mouse": "mice", "leaf": "leaves", "shelf": "shelves", "knife": "knives", "wolf": "wolves",
    "loaf": "loaves", "scarf": "scarves", "half": "halves", "bookshelf": "bookshelves", "fish": "fish",
    "sheep": "sheep", "deer": "deer", "cactus": "cacti", "wife": "wives", "thief": "thieves", "calf": "calves",
    "headscarf": "headscarves",
}  # fmt: skip
_PLURALS: Final = frozenset(IRREGULAR_PLURALS.values()) - {"fish", "sheep", "deer"}
SINGULAR_IN_S: Final = word_set(
    """
    bus minibus glass dress sundress grass cactus canvas lens gas chess moss brass compass mattress headdress
    harness christmas iris campus virus bonus atlas cross mess mass class press pass kiss boss loss process business
    headless wireless walrus octopus hippopotamus platypus chaise chassis crisis oasis lotus hibiscus circus series
    species news sis axis basis tennis ibis trellis debris eucalyptus asparagus citrus focus surplus abacus cutlass
    hourglass fiberglass wineglass eyeglass wilderness seamless los bas plus this its his us as is was has always
    ours
    """
)
ALWAYS_PLURAL: Final = word_set(
    """
    jeans trousers pants slacks chinos shorts leggings tights stockings sweatpants joggers khakis culottes capris
    glasses sunglasses eyeglasses spectacles specs goggles aviators scissors pliers tweezers binoculars overalls
    dungarees coveralls pyjamas pajamas clothes scrubs surroundings headphones pjs briefs boxers underpants
    corduroys breeches jeggings palazzos cargos trunks shades earmuffs handlebars
    """
)
"""Plural in form, one thing in meaning."""
DOING: Final = "ing"
DONE: Final = "ed"
PLURAL: Final = "s"
ADVERBIAL: Final = "ly"
CHANGED_ENDINGS: Final = ("er", "ed")
"""Of what a thing becomes: "larger", "closed"."""
VERBAL_ENDINGS: Final = (DOING, DONE)


def plural(noun: str) -> str:
    """The plural of a noun or of a phrase's last word."""
    head, _, last = noun.rpartition(" ")
    prefix = f"{head} " if head else ""
    for stem in (last, last.rpartition("-")[2]):
        if stem in IRREGULAR_PLURALS:
            return prefix + last[: len(last) - len(stem)] + IRREGULAR_PLURALS[stem]
    if last.endswith("y") and last[-2:-1] not in "aeiou":
        return f"{prefix}{last[:-1]}ies"
    if last.endswith(("s", "x", "z", "ch", "sh")):
        return f"{prefix}{last}es"
    return f"{prefix}{last}s"


def noun_forms(noun: str) -> tuple[str, ...]:
    """A listed noun and, where it has one, its plural."""
    last = noun.rpartition(" ")[2]
    if last in ALWAYS_PLURAL or (last.endswith("s") and last not in SINGULAR_IN_S) or last.endswith("wear"):
        return (noun,)
    return (noun, plural(noun))


@cache
def is_plural(word: str) -> bool:
    """Whether a noun's form names several things."""
    last = word.rpartition(" ")[2].rpartition("-")[2]
    if last in _PLURALS:
        return True
    if last in ALWAYS_PLURAL or last in SINGULAR_IN_S or len(last) < 4:
        return False
    return last.endswith("s") and not last.endswith(("ss", "us", "is"))


def verb_forms(base: str, irregular: tuple[str, ...] | None, *, doubles: bool) -> tuple[str, ...]:
    """Base, third person, past and -ing of a verb; of a verb of several words the first is inflected."""
    first, _, rest = base.partition(" ")
    tail = f" {rest}" if rest else ""
    third = plural(first) if not first.endswith("o") else f"{first}es"
    if irregular is not None:
        forms = (first, third, *irregular)
    else:
        stem = first + first[-1] if doubles else first
        if first.endswith("e"):
            forms = (first, third, f"{first}d", f"{first[:-1]}ing")
        elif first.endswith("y") and first[-2] not in "aeiou":
            forms = (first, third, f"{first[:-1]}ied", f"{first}ing")
        else:
            forms = (first, third, f"{stem}ed", f"{stem}ing")
    return tuple(form + tail for form in forms)
