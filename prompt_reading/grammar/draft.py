"""A reading in the making: what a frame finds out about one instruction, before it becomes target and prompt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from prompt_reading.grammar.looks import thing_of, without_looks
from prompt_reading.grammar.phrases import Words, bare, name_of, parse_noun_phrase, text_of
from prompt_reading.grammar.vocabulary import Kind, Word
from prompt_reading.lexicon import appearance, frames, function_words, inflection, wordings, words
from prompt_reading.lexicon.function_words import IN, THE, WITH

_POINTING: Final = words.DEMONSTRATIVES | words.POSSESSIVES | words.SAID


class Intent(StrEnum):
    """What an edit does to the picture."""

    APPEARANCE = "appearance"
    REPLACE = "replace"
    REMOVE = "remove"
    ADD = "add"
    WEAR = "wear"
    DESCRIBE = "describe"


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What one instruction means.

    Attributes:
        named: the noun phrase of what is repainted, as written; empty when none is named.
        described: its adjectives say how it should become ("blue car").
        looks: the words of the new look, for an appearance edit.
        made: the noun phrase of what is painted new (replacement, insertion, garment).
        place: where something is inserted.
        paint: the generation prompt.
        removed: what must not come back.
        wearer: the noun phrase of who is to wear `made`.
    """

    intent: Intent
    named: tuple[Word, ...] = ()
    described: bool = False
    looks: tuple[Word, ...] = ()
    made: tuple[Word, ...] = ()
    place: tuple[Word, ...] = ()
    paint: str = ""
    removed: tuple[Word, ...] = ()
    wearer: tuple[Word, ...] = ()


def is_pronoun(items: Words) -> bool:
    """Whether a phrase only points ("it", "this one", "these")."""
    return all(word.text in words.PRONOUNS or word.is_a(Kind.DETERMINER) for word in items)


def demonstratives_off(items: Words) -> tuple[Word, ...]:
    """Without "these" and "my": beside the diffusion model's words there is no picture to point at."""
    return tuple(word for word in items if word.text not in _POINTING)


def appearance_draft(named: Words, look: Words, *, described: bool = False) -> Draft:
    """Only the look of `named` changes."""
    named = thing_of(named)
    phrase = parse_noun_phrase(named)
    name = name_of(phrase, described=described) if not is_pronoun(named) else ()
    return Draft(
        intent=Intent.APPEARANCE,
        named=tuple(named) if name else (),
        described=described,
        looks=tuple(look),
        paint=_painted_look(without_looks(name, look) if name else (), look),
    )


def _painted_look(name: Words, look: Words) -> str:
    """Say "emerald green sofa", "curtains with striped pattern" or "table in the style of Monet"."""
    core = [word for word in demonstratives_off(bare(look)) if word.text not in frames.NOT_IN_PAINTED_LOOK]
    while core and core[0].text in frames.BEFORE_BARE_LOOK:
        core.pop(0)
    core = list(bare(core))
    thing = text_of(name)
    if len(core) > 1 and core[-1].text in appearance.COLOUR_NOUNS and not any(w.is_a(Kind.PREPOSITION) for w in core):
        core.pop()
    words_ = text_of(core)
    if not thing or not words_:
        return words_ or thing
    if any(word.is_a(Kind.PREPOSITION) for word in core) and core[0].is_a(Kind.QUALITY):
        link = wordings.IN_THE if core[0].text in appearance.NAMED_LOOKS else WITH
        return f"{thing} {link} {words_}"
    if core[-1].is_a(Kind.QUALITY) or _is_nounlike_pattern(core[-1]):
        link = IN if core[-1].text in appearance.STYLE_NOUNS else WITH
        return f"{thing} {link} {words_}"
    return f"{words_} {thing}"


def _is_nounlike_pattern(word: Word) -> bool:
    return (word.is_a(Kind.PATTERN) and word.text.endswith(inflection.PLURAL)) or word.text in appearance.PATTERN_NOUNS


def replace_draft(named: Words, made: Words) -> Draft:
    """Something else takes the place of `named`; a pronoun on either side points at the other or at the reference."""
    named = thing_of(named)
    old = name_of(parse_noun_phrase(named)) if not is_pronoun(named) else ()
    new = list(demonstratives_off(made))
    one = next((i for i, word in enumerate(new) if word.text in function_words.PROP_WORDS), None)
    if one is not None and old:
        new[one : one + 1] = _kept_of(old, new)
    if not bare(new) or is_pronoun(new):
        new = list(old)
    return Draft(
        intent=Intent.REPLACE,
        named=tuple(named) if old else (),
        made=tuple(new),
        paint=_capped(new),
        removed=(),
    )


def _kept_of(old: Words, new: Words) -> tuple[Word, ...]:
    """What "one" stands for: the old thing's name without the adjectives that "one" gets anew."""
    kept = [word for word in old if not word.is_a(Kind.ADJECTIVE)]
    if kept and kept[-1].is_a(Kind.VEHICLE_PART):
        kept = [Word(kept[-1].text.rpartition(" ")[2], kept[-1].kinds)]
    return without_looks(kept or list(old)[-1:], new)


def _capped(items: Words) -> str:
    text = text_of(items)
    return text.removeprefix(f"{THE} ")


def remove_draft(named: Words) -> Draft:
    """`named` goes, its surroundings close over it."""
    name = name_of(parse_noun_phrase(named)) if not is_pronoun(named) else ()
    backdrop = any(word.is_a(Kind.BACKGROUND) for word in name)
    return Draft(
        intent=Intent.REMOVE,
        named=tuple(named) if name else (),
        paint=wordings.PLAIN_BACKDROP if backdrop else wordings.SURROUNDINGS,
        removed=() if backdrop else name,
    )


def add_draft(made: Words, preposition: str, place: Words) -> Draft:
    """`made` is new in the picture, at `place` when one is named."""
    thing = demonstratives_off(made)
    paint = text_of(thing)
    if place:
        paint = f"{paint} {preposition} {text_of(place)}"
    return Draft(intent=Intent.ADD, made=tuple(made), place=tuple(place), paint=paint)
