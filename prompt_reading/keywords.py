"""Configured keywords beside the lexicon: which of them a prompt has, and which the lexicon has already."""

from __future__ import annotations

from collections.abc import Sequence

from prompt_reading.grammar.vocabulary import STRUCTURAL, Kind, normalise, tag, tokenise
from prompt_reading.lexicon import people


def find_keywords(prompt: str, keywords: Sequence[str]) -> tuple[str, ...]:
    """The keywords that the prompt holds as whole words, in lower case; hyphens and punctuation do not matter."""
    text = f" {_plain(prompt)} "
    return tuple(normalise(keyword) for keyword in keywords if _plain(keyword) and f" {_plain(keyword)} " in text)


def is_built_in(keyword: str) -> bool:
    """Whether the lexicon has the keyword for one of the rules already, with its own care for compounds."""
    keyword = normalise(keyword)
    if keyword in people.WEAR_VERBS or keyword in people.TRY_ON_PHRASES:
        return True
    tagged = tag(tokenise(keyword))
    return len(tagged) == 1 and bool(tagged[0].kinds & (STRUCTURAL | {Kind.PERSON}))


def _plain(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in normalise(text)).split())
