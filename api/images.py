"""What an image field carries: base64, a data URL, or a URL for the fetcher. **fetch** -> decode."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from composition.errors import CompositionError, InvalidInput

_URL = re.compile(r"\s{0,1000}[a-z][a-z0-9+.-]{0,30}://", re.IGNORECASE)
_DATA_URL = re.compile(r"data:([^,]{0,200}),", re.IGNORECASE)
_STANDARD = bytes.maketrans(b"-_", b"+/")
_SPACES = b" \t\r\n\f\v"
_BLOCK_CHARS = 2**18
"""Decoded at a time: a call of the standard library holds the interpreter, and with it everybody, until it returns."""
_HEX_VALUES = np.array([int(chr(byte), 16) if chr(byte) in "0123456789abcdefABCDEF" else -1 for byte in range(256)])
"""Of a byte as a hexadecimal digit; -1: it is none."""


def is_url(text: str) -> bool:
    """Whether an image field names a place; of any scheme, so that the fetcher says which it refuses."""
    return _URL.match(text) is not None


def decode_inline(text: str) -> bytes:
    """The bytes that an image field carries itself: base64, or a data URL in base64 or percent-encoded.

    Raises:
        InvalidInput: it is none of these, or empty.
    """
    text = text.strip()
    prefix = _DATA_URL.match(text)
    if prefix is None and text[:5].lower() == "data:":
        raise InvalidInput("is a data URL without data (data:image/png;base64,...)")
    blocks = _in_blocks(text, prefix.end() if prefix else 0)
    if prefix is not None:
        blocks = _unescaped(blocks)
    if prefix is None or prefix[1].lower().replace(" ", "").endswith(";base64"):
        blocks = _from_base64(blocks)
    data = b"".join(blocks)
    if not data:
        raise InvalidInput("is empty")
    return data


def _in_blocks(text: str, begin: int) -> Iterator[bytes]:
    for at in range(begin, len(text), _BLOCK_CHARS):
        yield text[at : at + _BLOCK_CHARS].encode()


def _unescaped(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """%41 as A. With arrays, where `urllib` makes an object of each of a body's 16 million escapes."""
    half = b""
    for block in blocks:
        data = half + block
        cut = data.rfind(b"%", -2)
        cut = len(data) if cut < 0 else cut
        half = data[cut:]
        yield _unescaped_block(data[:cut])
    yield _unescaped_block(half)


def _unescaped_block(data: bytes) -> bytes:
    if b"%" not in data:
        return data
    raw = np.frombuffer(data + b"  ", np.uint8)
    at = np.flatnonzero(raw[:-2] == ord("%"))
    high, low = _HEX_VALUES[raw[at + 1]], _HEX_VALUES[raw[at + 2]]
    whole = (high >= 0) & (low >= 0)
    at = at[whole]
    decoded, kept = raw.copy(), np.ones(len(raw), np.bool_)
    decoded[at] = high[whole] * 16 + low[whole]
    kept[at + 1] = kept[at + 2] = kept[-2:] = False
    return decoded[kept].tobytes()


def _from_base64(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Either alphabet, padded or not, white space ignored."""
    rest, padding = b"", 0
    try:
        for block in blocks:
            packed = block.translate(_STANDARD, _SPACES)
            body = packed.rstrip(b"=")
            if b"=" in body or (body and padding):
                raise InvalidInput("is not valid base64")
            padding += len(packed) - len(body)
            rest += body
            whole = len(rest) // 4 * 4
            yield base64.b64decode(rest[:whole], validate=True)
            rest = rest[whole:]
        if padding > 2:
            raise InvalidInput("is not valid base64")
        yield base64.b64decode(rest + b"=" * (-len(rest) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("is not valid base64") from error


@contextmanager
def naming(field: str) -> Iterator[None]:
    """Say in an error which field it is about."""
    try:
        yield
    except CompositionError as error:
        error.message = f"{field}: {error.message}"
        error.details["field"] = field
        raise
