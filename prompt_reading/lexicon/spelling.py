"""How words are written: full stops that end no sentence, file names, apertures, shorthand, odd characters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from prompt_reading.lexicon.listing import word_set

ABBREVIATIONS: Final = word_set(
    """
    dr mr mrs ms st jr sr prof vs vol inc ltd corp mt ft bros ave blvd approx sgt capt gen gov rev lt co messrs mme
    dept univ
    """
)
"""Their full stop belongs to them, wherever they stand."""
NUMBERED_ABBREVIATIONS: Final = word_set("no nos nr fig pt ch pg art op sec min max ca")
"""Words of their own, unless a number follows: "no. 5"."""
DEGREES: Final = word_set("ph ll ed psy")
"""What stands before the D of a doctor's degree."""
FILE_ENDINGS: Final = word_set(
    """
    jpg jpeg png webp gif bmp tif tiff svg psd raw heic avif pdf txt ai mp4 mov com org net io co uk de eu gov edu tv js
    py zip safetensors ckpt
    """
)
"""What follows the full stop of a file's or a site's name."""

CHARACTERS: Final[Mapping[str, str]] = {
    **dict.fromkeys("‘’‚‛`´", "'"),
    **dict.fromkeys("“”„«»", '"'),
    **dict.fromkeys("‐‑−", "-"),
    **dict.fromkeys("–—", " - "),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff", " "),
    "\u00ad": "",
    "→": " to ",
    "⁄": "/",
}
"""Typographic characters, and zero-width spaces, by what is meant."""

_WORD: Final = r"[^\W_]"
_START: Final = rf"(?<!{_WORD})"


def _any_of(items: frozenset[str]) -> str:
    return "|".join(sorted(items, key=lambda item: (-len(item), item)))


TOKEN: Final = re.compile(
    rf"""
    \#[0-9a-f]{{3,8}}\b
    | {_START}(?:w/o?(?!{_WORD})|[a-z]/\d+(?:\.\d+)?(?!{_WORD}))                    # w/o, f/1.8
    | {_START}{_WORD}+(?:[-_.]{_WORD}+)*\.(?:{_any_of(FILE_ENDINGS)})(?!{_WORD})    # logo.png
    | {_START}[a-z]{{1,2}}\.(?:[a-z]\.)+{_WORD}*                                    # U.S., U.S.A, Ph.D.
    | {_START}(?:{_any_of(DEGREES)})\.d(?!{_WORD})                                  # Ph.D
    | {_START}[a-z]\.(?=\ ?{_WORD}){_WORD}*                                         # J. Crew, J.Crew
    | {_START}(?:{_any_of(ABBREVIATIONS)})\.(?=\ ?{_WORD}|$)                        # Dr. Martens
    | {_START}(?:{_any_of(NUMBERED_ABBREVIATIONS)})\.(?=\ ?\d)                      # no. 5
    | {_START}(?:\d{{1,3}}(?:,\d{{3}})+|\d+|(?=\.\d))(?:[.:/]\d+)*{_WORD}*(?:['\-&]{_WORD}+)*%?    # 1.5-ton, 16:9
    | {_WORD}+(?:['\-&]{_WORD}+|\.\d+{_WORD}*)*
    | [,.;:!?]
    | (?<=\ )-(?=\ )
    | 's\b
    """,
    re.VERBOSE,
)
"""A written word or a mark, in lower case."""

PLURAL_POSSESSIVE: Final = re.compile(r"(?<=s)'(?=\s\w)")
"""Read as "'s", where no quotation is open."""
QUOTATION: Final = re.compile(r"(?:^|[\s(])'")

CAMERA_SETTING: Final = re.compile(r"f/?\d+(?:\.\d+)?|iso ?\d+|\d+ ?mm(?: lens)?|1/\d+ ?s?")
"""What people append from a photograph's data, as a whole segment."""

SHORTHAND: Final[Mapping[str, str]] = {
    "u": "you",
    "ur": "your",
    "pls": "please",
    "plz": "please",
    "w": "with",
    "w/": "with",
    "w/o": "without",
    "thx": "thanks",
    "dont": "don't",
    "doesnt": "doesn't",
    "shouldnt": "shouldn't",
    "mustnt": "mustn't",
}
"""How people type, and what they mean."""
