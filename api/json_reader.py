"""JSON that is parsed while it arrives, block by block: body -> **parse** -> validate.

A request of fifty megabytes is a few hundred bytes of JSON and two or three very long strings. `json.loads` would hold
the interpreter for all of it at once, in a thread as well, and every other request would wait. So the long strings are
cut out and decoded a block at a time, and `json.loads` gets what is left.
"""

from __future__ import annotations

import codecs
import json
import re
import secrets
from typing import Any

BLOCK_BYTES = 2**18
"""Parsed at a time, in a few milliseconds."""
MAX_PARTS = 10_000
"""Commas and opening brackets: a request has a few dozen, and a parser makes gigabytes of megabytes of tiny values."""
LONG_CHARS = 2**14
"""Strings from here on are decoded in blocks, and must be ASCII: they can only be images."""
MAX_REST_CHARS = 2**22
"""All that is no long string."""
_HALF_ESCAPE_CHARS = 5
"""The most of an escape that lacks its end."""
_STRINGS_PER_PART = 2
_ENCODING_BYTES = 4
"""They tell UTF-8 from what else `json.loads` reads."""

_WHOLE_ESCAPES = re.compile(r'[^"\\]*+(?:\\(?:[^u]|u[0-9a-fA-F]{4})[^"\\]*+)*+', re.DOTALL)
"""Of a string's inside, as far as no escape is cut in two."""


class JsonReader:
    """Takes the bytes of one JSON text as they come: `feed` them, then ask for the `value`.

    What is wrong is kept until the value is asked for, so that a sender is read to the end before it is refused.

    Args:
        long_chars: of a string, from where on it is one of the long ones; no block is smaller.
    """

    def __init__(self, *, long_chars: int = LONG_CHARS) -> None:
        self._long_chars = long_chars
        self._waiting = bytearray()
        self._decoder: codecs.IncrementalDecoder | None = None
        self._error: ValueError | None = None
        self._carried = ""
        self._rest: list[str] = []
        self._rest_chars = 0
        self._parts = 0
        self._strings = 0
        self._string: _String | None = None
        self._long: dict[str, str] = {}
        self._mark = secrets.token_hex(16)

    def feed(self, data: bytes) -> None:
        """The next bytes; at most `BLOCK_BYTES` for a call that takes milliseconds."""
        if self._error is not None:
            return
        self._waiting += data
        if len(self._waiting) >= max(self._long_chars, _ENCODING_BYTES):
            self._take_waiting(final=False)

    def value(self) -> Any:
        """What the bytes stand for.

        Raises:
            json.JSONDecodeError: they are no JSON, or too much of it.
            ValueError: a number of thousands of digits.
        """
        self._take_waiting(final=True)
        if self._error is not None:
            raise self._error
        try:
            return self._with_long_strings(json.loads("".join(self._rest)))
        except RecursionError as error:
            raise json.JSONDecodeError("too deeply nested", "", 0) from error

    def _take_waiting(self, *, final: bool) -> None:
        data, self._waiting = bytes(self._waiting), bytearray()
        if self._error is not None:
            return
        try:
            if self._decoder is None:
                self._decoder = codecs.getincrementaldecoder(json.detect_encoding(data))("surrogatepass")
            self._take(self._carried + self._decoder.decode(data, final))
            if final and (self._string is not None or self._carried):
                raise json.JSONDecodeError("Unterminated string", "", 0)
        except UnicodeDecodeError:
            self._refuse("not UTF-8")
        except json.JSONDecodeError as error:
            self._refuse(error.msg)

    def _refuse(self, reason: str) -> None:
        self._error = json.JSONDecodeError(reason, "", 0)
        self._rest, self._string, self._long = [], None, {}

    def _take(self, text: str) -> None:
        at, self._carried = 0, ""
        while at < len(text):
            if self._string is None:
                quote = text.find('"', at)
                end = len(text) if quote < 0 else quote
                self._keep(text[at:end])
                at = end + 1
                if quote >= 0:
                    self._begin()
                continue
            end = _end_of_whole(text, at)
            self._string.add(text[at:end])
            if text.startswith('"', end):
                self._close(self._string)
                at = end + 1
            else:
                at, self._carried = len(text), text[end:]
                if len(self._carried) > _HALF_ESCAPE_CHARS:
                    raise json.JSONDecodeError("Invalid \\escape", "", 0)

    def _begin(self) -> None:
        self._string = _String(self._long_chars)
        self._strings += 1
        if self._strings > _STRINGS_PER_PART * (MAX_PARTS + 1):
            raise json.JSONDecodeError(f"more than {MAX_PARTS} parts", "", 0)

    def _close(self, string: _String) -> None:
        self._string = None
        if string.blocks:
            name = f"{self._mark}{len(self._long)}"
            self._long[name] = string.decoded()
            self._keep(f'"{name}"')
        else:
            self._keep(f'"{string.raw}"')

    def _keep(self, text: str) -> None:
        self._rest.append(text)
        self._rest_chars += len(text)
        self._parts += sum(text.count(mark) for mark in ",[{")
        if self._parts > MAX_PARTS:
            raise json.JSONDecodeError(f"more than {MAX_PARTS} parts", "", 0)
        if self._rest_chars > MAX_REST_CHARS:
            raise json.JSONDecodeError(f"more than {MAX_REST_CHARS} characters beside long strings", "", 0)

    def _with_long_strings(self, value: Any) -> Any:
        if not self._long:
            return value
        if isinstance(value, str):
            return self._long.get(value, value)
        if isinstance(value, list):
            return [self._with_long_strings(item) for item in value]
        if isinstance(value, dict):
            return {self._long.get(key, key): self._with_long_strings(item) for key, item in value.items()}
        return value


class _String:
    """A string that is being read: as it was sent while it is short, in decoded blocks from then on."""

    def __init__(self, long_chars: int) -> None:
        self._long_chars = long_chars
        self.raw = ""
        self.blocks: list[str] = []

    def add(self, raw: str) -> None:
        """More of it, no escape cut in two."""
        self.raw += raw
        if len(self.raw) >= self._long_chars:
            self._decode()

    def decoded(self) -> str:
        self._decode()
        return "".join(self.blocks)

    def _decode(self) -> None:
        block: str = json.loads(f'"{self.raw}"')
        if not block.isascii():
            raise json.JSONDecodeError(f"a string of more than {self._long_chars} characters that is not ASCII", "", 0)
        self.blocks.append(block)
        self.raw = ""


def _end_of_whole(text: str, at: int) -> int:
    """Where the closing quote is, or else where half an escape begins at the end."""
    quote = text.find('"', at)
    end = len(text) if quote < 0 else quote
    if text.find("\\", at, end) < 0:
        return end
    whole = _WHOLE_ESCAPES.match(text, at)
    assert whole is not None
    return whole.end()
