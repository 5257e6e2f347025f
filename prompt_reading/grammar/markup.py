"""Markup of other tools off a prompt: **prompt -> plain text** -> words -> phrases."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Final

from prompt_reading.grammar.instruction import is_quality_tag
from prompt_reading.lexicon import markup
from prompt_reading.lexicon.function_words import COMMA, STOP

MAX_DEPTH: Final = 16
"""Brackets nested deeper stay, and are read as nothing."""
_SUSPECT: Final = frozenset("<>()[]{}*_`~:+-–—#\n&.•‣◦▪·|/")
"""Without any of these a prompt holds no markup, but for `markup.CHUNK`."""


@dataclass(frozen=True, slots=True)
class PlainText:
    """A prompt without markup.

    Attributes:
        text: what is left to read.
        dropped: the markup that was left out, as written; numbers, bullets and labels are not listed.
        refused: what the markup wants in the negative prompt.
    """

    text: str
    dropped: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def strip_markup(prompt: str) -> PlainText:
    """Take tags, flags, weights, labels and numbering off; whatever the text is, nothing is raised."""
    shouted = prompt.isupper()
    if _SUSPECT.isdisjoint(prompt) and (shouted or markup.CHUNK.search(prompt) is None):
        return PlainText(prompt)
    dropped: list[str] = []
    refused: list[str] = []

    def drop(found: re.Match[str]) -> str:
        dropped.append(found.group().strip())
        return " "

    def part(found: re.Match[str]) -> str:
        dropped.append(found.group().strip())
        return f"{COMMA} "

    def refuse(found: re.Match[str]) -> str:
        refused.extend(item.strip() for item in found.group(1).split(COMMA))
        return " "

    text = html.unescape(prompt)
    for pattern in markup.REFUSED:
        text = pattern.sub(refuse, text)
    for pattern in markup.DROPPED:
        text = pattern.sub(drop, text)
    if not shouted:
        text = markup.CHUNK.sub(part, text)
    text = _without_numbers(_without_label(text.strip()))
    text = _without_emphasis(_without_label(text), dropped)
    return PlainText(text, tuple(dict.fromkeys(filter(None, dropped))), tuple(filter(None, refused)))


def _without_label(text: str) -> str:
    return markup.LABEL.sub("", text, count=1)


def _without_numbers(text: str) -> str:
    """Each item of a list becomes a sentence."""
    found = markup.NUMBER.match(text)
    text = markup.NUMBER.sub(f"{STOP} ", text)
    return markup.INNER_NUMBER.sub(f"{STOP} ", text) if found is not None else text


def _without_emphasis(text: str, dropped: list[str]) -> str:
    """Brackets off, their words kept; tags for quality in brackets are set apart by commas."""

    def plain(found: re.Match[str]) -> str:
        inner = next(group for group in found.groups() if group is not None)
        words_ = markup.WEIGHT.sub("", inner)
        for mark, taken in markup.ALTERNATIVES.items():
            words_ = words_.split(mark)[taken]
        depth = found.start() > 0 and found.string[found.start() - 1] == found.string[found.start()]
        if words_ != inner or depth or found.group(1) is None:
            dropped.append(found.group() if words_ != inner else f"{found.group()[0]}{found.group()[-1]}")
        segments = [segment.strip().lower() for segment in words_.split(COMMA)]
        tags = any(segments) and all(is_quality_tag(segment) for segment in segments if segment)
        apart = tags or (words_ == inner and len(words_.split()) >= markup.ASIDE_WORDS)
        return f"{COMMA} {words_}{COMMA} " if apart else f" {words_} "

    for _ in range(MAX_DEPTH):
        text, count = markup.EMPHASIS.subn(plain, text)
        if not count:
            break
    return text
