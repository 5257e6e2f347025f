"""Noun phrases: words -> **what a phrase names, which one and how many** -> looks and drafts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from composition.decision import Position
from prompt_reading.grammar.vocabulary import LOOKS, STRUCTURAL, Kind, Word
from prompt_reading.lexicon import appearance, frames, function_words, inflection, words
from prompt_reading.lexicon.function_words import COMMA, NO, OF, OUT, POSSESSIVE
from prompt_reading.lexicon.inflection import is_plural

Words: TypeAlias = Sequence[Word]


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
    return written([word.text for word in items])


def written(tokens: Sequence[str]) -> str:
    """Tokens as they are written, possessives joined."""
    return " ".join(tokens).replace(" 's", "'s").replace(" ,", ",")


def parse_noun_phrase(items: Words) -> NounPhrase:
    """Take a noun phrase apart; whatever the words are, nothing is raised."""
    rest = list(items)
    while rest and rest[-1].text in function_words.PHRASE_ENDS:
        rest.pop()
    core, tail = _split_core(rest)
    determiners: list[str] = []
    possessor: list[Word] = []
    mark = next((i for i in range(len(core) - 1, -1, -1) if core[i].text == POSSESSIVE), None)
    if mark is not None and mark < len(core) - 1:
        possessor, core = core[:mark], core[mark + 1 :]
    while core and (_is_determiner(core[0]) or _opens_partitive(core)):
        determiners.append(core.pop(0).text)
        if core and core[0].text == OF and len(core) > 1:
            core.pop(0)
    while len(core) > 1 and _is_adverb(core[-1]):
        core.pop()
    position, core = _take_position(core)
    posts = _split_posts(tail)
    kept: list[tuple[str, tuple[Word, ...]]] = []
    for preposition, words_ in posts:
        side = _side(preposition, words_)
        if side is not None:
            position = position or side
        elif preposition == OF and not possessor and words_ and _is_determiner(words_[0]):
            possessor = list(words_)
        else:
            kept.append((preposition, words_))
    return NounPhrase(tuple(determiners), tuple(core), tuple(kept), position, tuple(possessor))


def _opens_partitive(items: list[Word]) -> bool:
    """Whether these are "one of the ...", "most of the ..."."""
    return len(items) > 2 and items[1].text == OF and items[0].text in words.PORTIONS


def _is_determiner(word: Word) -> bool:
    return word.is_a(Kind.DETERMINER) or word.text in words.QUANTIFIERS or word.text.isdigit()


def _split_core(items: list[Word]) -> tuple[list[Word], list[Word]]:
    """Up to the first preposition, relative or post-posed participle; "bowl of fruit" and "all of the" stay whole."""
    for index, word in enumerate(items):
        if index == 0:
            continue
        if word.text == OF and (
            _is_determiner(items[index - 1])
            or items[index - 1].text in words.PORTIONS
            or _bare_classifier(items, index)
        ):
            continue
        if word.is_a(Kind.PREPOSITION) or word.text in function_words.CONTRAST_MARKS or _is_out_of(items, index):
            return items[:index], items[index:]
        if word.text in function_words.RELATIVES and not _is_determiner(items[index - 1]):
            return items[:index], items[index:]
        if is_measure(items, index) and not _is_determiner(items[index - 1]):
            return items[:index], items[index:]
        if index + 1 < len(items) and (_is_post_participle(items, index) or _is_doing(items, index)):
            return items[:index], items[index:]
    return items, []


def is_measure(items: Words, index: int) -> bool:
    """Whether an amount stands here: "the car *two shades* darker", "the sofa *100%* cotton"."""
    text = items[index].text
    if text.endswith(function_words.PERCENT):
        return True
    numbered = text[0].isdigit() or text in words.QUANTIFIERS
    return numbered and index + 1 < len(items) and items[index + 1].text in function_words.MEASURES


def _is_post_participle(items: list[Word], index: int) -> bool:
    """Whether a participle behind its noun stands here: "a wall *clad* in slate", "walls *painted* grey"."""
    text, following = items[index].text, items[index + 1]
    if _is_determiner(items[index - 1]):
        return False
    if text in frames.PARTICIPLES:
        return following.is_a(Kind.PREPOSITION) or bool(following.kinds & LOOKS) or following.text == OUT
    return text.endswith(inflection.DONE) and following.text in frames.PARTICIPLE_LINKS


def _is_doing(items: list[Word], index: int) -> bool:
    """Whether the noun before does something: "a man *driving* a car", "a cat *sleeping* on the sofa"."""
    following = items[index + 1]
    return (
        items[index].text.endswith(inflection.DOING)
        and not _is_determiner(items[index - 1])
        and (following.is_a(Kind.DETERMINER) or following.is_a(Kind.PREPOSITION))
        and not items[index].kinds - {Kind.ADJECTIVE}
    )


def _is_adverb(word: Word) -> bool:
    return not word.kinds and word.text.endswith(inflection.ADVERBIAL) and word.text not in words.NOUNS_IN_LY


def _is_out_of(items: list[Word], index: int) -> bool:
    return items[index].text == OUT and index + 1 < len(items) and items[index + 1].text == OF


def _bare_classifier(items: list[Word], index: int) -> bool:
    return (
        items[index - 1].text in words.CLASSIFIERS and index + 1 < len(items) and not _is_determiner(items[index + 1])
    )


def _split_posts(tail: list[Word]) -> list[tuple[str, tuple[Word, ...]]]:
    while tail and tail[0].text == COMMA:
        tail = tail[1:]
    posts: list[tuple[str, tuple[Word, ...]]] = []
    start = 0
    for index in range(1, len(tail) + 1):
        if index == len(tail) or (tail[index].is_a(Kind.PREPOSITION) and _opens_post(tail, start, index)):
            posts.append((tail[start].text, tuple(tail[start + 1 : index])))
            start = index
    return [post for post in posts if post[0] != COMMA or post[1]]


def _opens_post(tail: list[Word], start: int, index: int) -> bool:
    """Whether the preposition at `index` opens a new post-modifier, not "made *of*" or "a bowl *of* fruit"."""
    if index == start + 1:
        return False
    return not (
        tail[index].text == OF
        and (tail[index - 1].text in words.CLASSIFIERS or tail[start].text in frames.COMPLEMENT_LINKS)
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
    if preposition not in frames.POSITION_LINKS:
        return None
    names = [word.text for word in items if word.text not in words.POSITION_FILLERS]
    return words.POSITIONS.get(names[0]) if len(names) == 1 else None


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
        while len(core) > 1 and core[0].text in words.VAGUE_ADJECTIVES:
            core = core[1:]
    return tuple(word for word in core if not word.is_a(Kind.DETERMINER))


def _is_adjective(word: Word, following: Word) -> bool:
    if following.text == OF or (
        word.text in appearance.AMBIGUOUS_COLOURS and following.text in appearance.FOOD_AND_PLANTS
    ):
        return False
    if (
        word.kinds & (LOOKS | {Kind.ADJECTIVE})
        or word.text in appearance.ADJECTIVAL_NOUNS
        or word.text in frames.BETWEEN_ADJECTIVES
    ):
        return True
    if word.kinds or word.text in words.NOT_ADJECTIVES:
        return False
    return word.text.endswith(words.ADJECTIVE_ENDINGS) or following.text == COMMA


def bare(items: Words) -> tuple[Word, ...]:
    """A phrase without its leading articles and demonstratives."""
    rest = list(items)
    while rest and (rest[0].text in words.DETERMINERS - {NO} or rest[0].text == OF):
        rest.pop(0)
    return tuple(rest)


def find(items: Words, *texts: str, start: int = 1) -> int | None:
    """Where the first of these words is, after at least `start` others."""
    return next((i for i in range(start, len(items)) if items[i].text in texts), None)


def halves(items: Words, index: int | None) -> tuple[Words, Words]:
    """What stands before and behind the word at `index`; all of it before None."""
    return (items, ()) if index is None else (items[:index], items[index + 1 :])


def is_whole_picture(phrase: NounPhrase) -> bool:
    """Whether "the photo" means all of it, not a photo that hangs on a wall in it."""
    if phrase.head is None or not phrase.head.is_a(Kind.PICTURE) or phrase.post(*frames.HANGING_LINKS):
        return False
    return all(word.kinds & (LOOKS | {Kind.ADJECTIVE}) for word in phrase.core[:-1])


def unless_picture(items: Words) -> Words:
    """Nothing is named when the whole picture is."""
    return () if is_whole_picture(parse_noun_phrase(items)) else items


def is_named(items: Words) -> bool:
    """Whether the phrase is complete: it ends with a noun or a pronoun, not with an article or an adjective."""
    last = items[-1]
    if last.is_a(Kind.DETERMINER) and last.text not in words.PRONOUNS:
        return False
    if last.is_a(Kind.PREPOSITION) or last.text in frames.NO_PHRASE_ENDS or last.text in words.QUANTIFIERS:
        return False
    if last.is_a(Kind.ADJECTIVE):
        return False
    return not last.kinds & LOOKS or bool(last.kinds & {Kind.QUALITY})
