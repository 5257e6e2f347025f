"""How the lexicon's lists are written: words apart by white space, phrases apart by commas."""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


def phrase_list(text: str) -> tuple[str, ...]:
    """The comma-separated phrases of a text, in order."""
    return tuple(item.strip() for item in text.split(",") if item.strip())
