"""Markup of other image tools, as it is pasted into prompts: what it looks like, and what it means here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

DROPPED: Final = (
    re.compile(r"</?[a-z][a-z0-9]*(?::[^<>]*|(?:\s[^<>]*)?/?)>", re.IGNORECASE),
    re.compile(r"\bembedding:\S+", re.IGNORECASE),
    re.compile(r"\bhttps?://\S+", re.IGNORECASE),
    re.compile(
        r"(?<!\S)(?:--(?=[a-z])|[–—](?=(?:ar|aspect|seed|v|q|s|c|stylize|style|chaos|niji|no)\b))(?!no\b|neg)"
        r"[a-z][\w-]*(?:[ =]+(?:[\d.]+(?:[:x/]\d+)?\b|raw\b|true\b|false\b|auto\b|(?<=ref )\S+|(?<=model )\S+"
        r"|(?<=sampler )\S+))?",
        re.IGNORECASE,
    ),
    re.compile(r"\bsteps: ?\d+,.*$", re.IGNORECASE | re.DOTALL),
    re.compile(r"(?<!\S)(?:\*{1,3}|_{1,3}|~~|`{1,3})(?=\w)|(?<=[\w.,!?])(?:\*{1,3}|_{2,3}|~~|`{1,3})(?!\w)|```"),
    re.compile(r"(?<=\w)\+{1,5}(?!\w)"),
)
"""LoRA and HTML tags, embeddings, addresses, flags, pasted settings, Markdown, weights: none of them means anything."""

CHUNK: Final = re.compile(r"(?:(?<=\s)|^)BREAK(?=\s|$)|::-?[\d.]*")
"""Parts a prompt into chunks, in tools that read it piece by piece."""

REFUSED: Final = (
    re.compile(r"(?<!\S)(?:--|[–—])(?:no|neg|negative[_-]?prompt)[ =]+(.*?)(?=\s--[a-z]|$)", re.IGNORECASE | re.DOTALL),
    re.compile(r"\bnegative prompt: ?(.*?)(?=\bsteps: ?\d|$)", re.IGNORECASE | re.DOTALL),
)
"""What the first group names goes to the negative prompt."""

LABEL: Final = re.compile(
    r"^[\s\"'#]*(?:/imagine\s+)?(?:(?:(?:image|positive|edit|editing|user|my|new)[ _-])?"
    r"(?:prompts?|edits?|instructions?|tasks?|requests?|commands?|user|human|input|query|question|step \d+|todo)"
    r"(?: \d+)?\s*:+\s*)+",
    re.IGNORECASE,
)
"""What a form or a chat puts in front."""

NUMBER: Final = re.compile(
    r"(?:^|(?<=\n))[ \t\"']*(?:\(?\d{1,2}[.)](?=\s)|\(\d\)|[a-h]\)|[-*•‣◦▪·](?=\s)|#{1,6}(?=\s)|>(?=\s))\s*"
)
"""The number or the bullet of a list's item, at the start of a line."""
INNER_NUMBER: Final = re.compile(r"(?<=\s)\(?\d{1,2}[.)]\s+(?=[^\W\d])")
"""The further numbers of a list written in one line."""

EMPHASIS: Final = re.compile(r"\(([^()\[\]{}]*)\)|\[([^()\[\]{}]*)\]|\{([^()\[\]{}]*)\}")
"""An innermost pair of brackets."""
WEIGHT: Final = re.compile(r":\s*-?\d*\.?\d+\s*$")
"""Behind what is emphasised."""
ASIDE_WORDS: Final = 3
"""From this many words on, a parenthesis is a remark of its own."""
ALTERNATIVES: Final[Mapping[str, int]] = {"|": 0, ":": -1}
"""Which of several alternatives in brackets is taken: the first of "[red|blue]", the last of "[dog:cat:0.5]"."""
