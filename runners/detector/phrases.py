"""A target's words as GroundingDINO reads them, and which of several phrases a box is about.

The model was trained on lower-case phrases, each ended by a full stop: "shirt . jacket ." (Liu et al. 2023,
arXiv:2303.05499). It compares every box with every token; the tokens of one phrase lie between two separators.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from composition.errors import InvalidInput

_SEPARATORS = re.compile(r"[.?!]")


def split_phrases(text: str) -> tuple[str, ...]:
    """The phrases of a query, lower case, in order, each once. Raises: InvalidInput when there is none."""
    parts = (" ".join(part.split()).lower() for part in _SEPARATORS.split(text))
    phrases = tuple(dict.fromkeys(part for part in parts if part))
    if not phrases:
        raise InvalidInput("there is no word to look for", details={"target": text})
    return phrases


def to_query(phrases: Sequence[str]) -> str:
    """What the tokenizer is given."""
    return "".join(f"{phrase} . " for phrase in phrases).rstrip()


def phrase_spans(token_ids: Sequence[int], separators: frozenset[int]) -> list[tuple[int, int]]:
    """Half-open token ranges of the phrases: the runs between separators ([CLS], [SEP], [PAD], "." and "?")."""
    spans: list[tuple[int, int]] = []
    start: int | None = None
    for position, token in enumerate([*token_ids, next(iter(separators))]):
        if token in separators:
            if start is not None:
                spans.append((start, position))
            start = None
        elif start is None:
            start = position
    return spans
