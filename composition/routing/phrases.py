"""Noun phrases and looks: words -> **what a phrase names, and how it should look** -> reading.

A *look* is a phrase that only says how something looks ("emerald green", "marble texture", "in the style of Monet").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from composition.routing.lexicon import appearance, words
from composition.routing.lexicon.inflection import is_plural
from composition.routing.lexicon.listing import word_set
from composition.routing.vocabulary import LOOKS, STRUCTURAL, Kind, Word
from composition.types import Position

Words = Sequence[Word]

_LINKS: Final = word_set(
    """
    and or with in of a an the this that these those very more slightly really fully all like made from out it one
    ones look looking looks finished done completely bit little kind as same entirely to be
    """
)
_SMEARS: Final = frozenset({"coat", "layer", "splash", "touch", "hint", "lick", "shade", "version", "variant", "one"})
_PARTICIPLES: Final = word_set(
    """
    made painted covered dyed finished wrapped upholstered decorated rendered drawn done coloured colored carved
    built crafted coated clad lined printed textured tiled
    """
)
_RELATIVES: Final = frozenset(
    {"that", "which", "who", "whose", "where", "standing", "sitting", "parked", "hanging", "lying"}
)
_OBJECT_LOOKS: Final = frozenset({Kind.MATERIAL, Kind.PATTERN})


@dataclass(frozen=True, slots=True)
class NounPhrase:
    """A noun phrase taken apart.

    Attributes:
        determiners: articles, possessives, demonstratives and quantifiers in front.
        core: adjectives and nouns, the head last; without words of position.
        posts: what follows, as (preposition or participle, words) pairs.
        position: which instance the phrase names.
        possessor: "the car" of "the car's door", "the table" of "the legs of the table".
    """

    determiners: tuple[str, ...]
    core: tuple[Word, ...]
    posts: tuple[tuple[str, tuple[Word, ...]], ...]
    position: Position | None
    possessor: tuple[Word, ...]

    @property
    def head(self) -> Word | None:
        """The last word of the core."""
        return self.core[-1] if self.core else None

    @property
    def plural(self) -> bool:
        """Whether several things are named."""
        if any(word in words.PLURAL_QUANTIFIERS - words.DEMONSTRATIVES for word in self.determiners):
            return True
        return self.head is not None and is_plural(self.head.text)

    def post(self, *prepositions: str) -> tuple[Word, ...] | None:
        """The words after the first of these prepositions."""
        return next((rest for preposition, rest in self.posts if preposition in prepositions), None)


def text_of(items: Words) -> str:
    """The words as they are written, possessives joined."""
    return " ".join(word.text for word in items).replace(" 's", "'s").replace(" ,", ",")


def parse_noun_phrase(items: Words) -> NounPhrase:
    """Take a noun phrase apart; whatever the words are, nothing is raised."""
    rest = list(items)
    while rest and rest[-1].text in (",", ".", "!", "?", ";", ":", "-", "and"):
        rest.pop()
    core, tail = _split_core(rest)
    determiners: list[str] = []
    possessor: list[Word] = []
    mark = next((i for i in range(len(core) - 1, -1, -1) if core[i].text == "'s"), None)
    if mark is not None and mark < len(core) - 1:
        possessor, core = core[:mark], core[mark + 1 :]
    while core and (_is_determiner(core[0]) or _opens_partitive(core)):
        determiners.append(core.pop(0).text)
        if core and core[0].text == "of" and len(core) > 1:
            core.pop(0)
    position, core = _take_position(core)
    posts = _split_posts(tail)
    kept: list[tuple[str, tuple[Word, ...]]] = []
    for preposition, words_ in posts:
        side = _side(preposition, words_)
        if side is not None:
            position = position or side
        elif preposition == "of" and not possessor and words_ and _is_determiner(words_[0]):
            possessor = list(words_)
        else:
            kept.append((preposition, words_))
    return NounPhrase(tuple(determiners), tuple(core), tuple(kept), position, tuple(possessor))


def _opens_partitive(items: list[Word]) -> bool:
    """Whether these are "one of the ...", "most of the ..."."""
    return len(items) > 2 and items[1].text == "of" and items[0].text in ("one", "most", "none", "half", "part")


def _is_determiner(word: Word) -> bool:
    return word.is_a(Kind.DETERMINER) or word.text in words.QUANTIFIERS or word.text.isdigit()


def _split_core(items: list[Word]) -> tuple[list[Word], list[Word]]:
    """Up to the first preposition, relative or post-posed participle; "bowl of fruit" and "all of the" stay whole."""
    for index, word in enumerate(items):
        if index == 0:
            continue
        if word.text == "of" and (
            _is_determiner(items[index - 1])
            or _bare_classifier(items, index)
            or (index == 1 and _opens_partitive(items))
        ):
            continue
        if word.is_a(Kind.PREPOSITION) or word.text in (",", "but"):
            return items[:index], items[index:]
        if word.text in _RELATIVES and not (word.text == "that" and _is_determiner(items[index - 1])):
            return items[:index], items[index:]
        if word.text in _PARTICIPLES and index + 1 < len(items) and not _is_determiner(items[index - 1]):
            following = items[index + 1]
            if following.is_a(Kind.PREPOSITION) or following.kinds & LOOKS:
                return items[:index], items[index:]
    return items, []


def _bare_classifier(items: list[Word], index: int) -> bool:
    return (
        items[index - 1].text in words.CLASSIFIERS and index + 1 < len(items) and not _is_determiner(items[index + 1])
    )


def _split_posts(tail: list[Word]) -> list[tuple[str, tuple[Word, ...]]]:
    posts: list[tuple[str, tuple[Word, ...]]] = []
    start = 0
    for index in range(1, len(tail) + 1):
        if index == len(tail) or (tail[index].is_a(Kind.PREPOSITION) and _opens_post(tail, start, index)):
            posts.append((tail[start].text, tuple(tail[start + 1 : index])))
            start = index
    return [post for post in posts if post[0] not in (",",) or post[1]]


def _opens_post(tail: list[Word], start: int, index: int) -> bool:
    """Whether the preposition at `index` opens a new post-modifier, not "made *of*" or "a bowl *of* fruit"."""
    if index == start + 1:
        return False
    return not (
        tail[index].text == "of" and (tail[index - 1].text in words.CLASSIFIERS or tail[start].text in ("in", "with"))
    )


def _take_position(core: list[Word]) -> tuple[Position | None, list[Word]]:
    found = None
    kept: list[Word] = []
    for index, word in enumerate(core):
        side = words.POSITIONS.get(word.text)
        if side is not None and index < len(core) - 1 and found is None:
            found = side
        else:
            kept.append(word)
    return found, kept


def _side(preposition: str, items: Words) -> Position | None:
    """The position in "on the left (side)", "to the far right", "in the middle"."""
    if preposition not in ("on", "to", "in", "at"):
        return None
    names = [word.text for word in items if word.text not in ("the", "far", "side", "very", "my", "hand")]
    return words.POSITIONS.get(names[0]) if len(names) == 1 else None


def is_look(items: Words, *, forced: bool = False) -> bool:
    """Whether a phrase says only how something looks.

    Args:
        items: the phrase, "in" or "with" already taken off.
        forced: after a verb of painting, where "rose" and "orange" are colours whatever their article.
    """
    core = [word for word in items if word.text not in (",", "-", ".", "!", "?")]
    while core and core[-1].text in ("one", "ones", "instead", "version", "variant"):
        core.pop()
    if not core:
        return False
    head_end = next(
        (i for i, w in enumerate(core) if i and w.is_a(Kind.PREPOSITION) and w.text not in ("in", "like")), len(core)
    )
    if _is_surface_noun(core):
        return False
    pointed = core[0].text in words.DEMONSTRATIVES | {"the"}
    if core[head_end - 1].text in appearance.QUALITY_NOUNS and (pointed or not core[head_end - 1].is_a(Kind.MATERIAL)):
        return True
    if not forced and _names_a_thing(core):
        return False
    seen = False
    for word in core:
        if word.kinds & LOOKS:
            seen = True
        elif (
            word.text not in _LINKS
            and word.text not in _SMEARS
            and not word.is_a(Kind.QUALITY)
            and word.text not in _PARTICIPLES
        ):
            return False
        seen = seen or word.is_a(Kind.QUALITY)
    return seen


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
    """Read "an orange", "a glass", "a brick": with an article of its own, a material or an ambiguous colour is a thing."""
    if core[0].text not in words.INDEFINITE or len(core) < 2:
        return False
    last = core[-1]
    if last.text in appearance.AMBIGUOUS_COLOURS:
        return not any(word.kinds & {Kind.SHADE} for word in core[1:-1])
    return bool(last.kinds & {Kind.MATERIAL}) and not last.kinds & {Kind.COLOUR, Kind.FINISH, Kind.STYLE}


def colours_only(items: Words) -> bool:
    """Whether a look changes nothing but colour."""
    kinds = [word.kinds & LOOKS for word in items if word.kinds & LOOKS]
    return (
        bool(kinds)
        and all(k & {Kind.COLOUR, Kind.SHADE} for k in kinds)
        and not any(word.is_a(Kind.QUALITY) and word.text not in appearance.COLOUR_NOUNS for word in items)
    )


def name_of(phrase: NounPhrase, *, described: bool = False) -> tuple[Word, ...]:
    """The words that name the thing.

    Args:
        phrase: the noun phrase.
        described: the adjectives say how it should become ("blue car"), so they are no part of its name.
    """
    core = [word for word in phrase.core if word.text not in words.PRONOUNS]
    if described:
        start = 0
        while start < len(core) - 1 and _is_adjective(core[start], core[start + 1]):
            start += 1
        core = core[start:]
        if len(core) > 1 and core[-1].kinds & (STRUCTURAL | {Kind.GARMENT}) and not core[-1].is_a(Kind.PERSON):
            core = core[-1:]
    else:
        while len(core) > 1 and core[0].text in ("new", "whole", "entire", "current", "existing", "same", "very"):
            core = core[1:]
    return tuple(core)


def _is_adjective(word: Word, following: Word) -> bool:
    if word.kinds & (LOOKS | {Kind.ADJECTIVE}) or word.text in ("very", "slightly", "more", "and", ","):
        return True
    if word.kinds or word.text in words.NOT_ADJECTIVES:
        return False
    return word.text.endswith(words.ADJECTIVE_ENDINGS) or following.text == ","


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


def bare(items: Words) -> tuple[Word, ...]:
    """A phrase without its leading articles and demonstratives."""
    rest = list(items)
    while rest and (rest[0].text in words.DETERMINERS - {"no"} or rest[0].text in ("of",)):
        rest.pop(0)
    return tuple(rest)


def quality_owner(items: Words) -> Words | None:
    """Whose look a phrase is about: "the colour of the sofa", "the sofa's fabric", "the car colour"; None if no look."""
    phrase = parse_noun_phrase(items)
    head = phrase.head
    if head is not None and head.is_a(Kind.MATERIAL) and phrase.possessor:
        return phrase.possessor
    if head is None or head.text not in appearance.PURE_QUALITY_NOUNS:
        return None
    if phrase.possessor:
        return phrase.possessor
    owner = phrase.post("on", "for", "of", "in")
    if owner:
        return owner
    return [
        word
        for word in phrase.core[:-1]
        if not word.kinds & LOOKS or (word.is_a(Kind.MATERIAL) and len(phrase.core) > 2)
    ]
