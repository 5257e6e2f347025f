"""What an image field carries: base64, a data URL, or a URL for the fetcher. **fetch** -> decode."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from composition.errors import CompositionError, InvalidInput

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_DATA_URL = re.compile(r"data:([^,]{0,200}),", re.IGNORECASE)
_STANDARD = bytes.maketrans(b"-_", b"+/")
_SPACES = b" \t\r\n\f\v"
_BLOCK_BYTES = 2**20
_HEX_VALUES = np.array([int(chr(byte), 16) if chr(byte) in "0123456789abcdefABCDEF" else -1 for byte in range(256)])
"""Of a byte as a hexadecimal digit; -1: it is none."""


def is_url(text: str) -> bool:
    """Whether an image field names a place; of any scheme, so that the fetcher says which it refuses."""
    return _URL.match(text.lstrip()) is not None


def decode_inline(text: str) -> bytes:
    """The bytes that an image field carries itself: base64, or a data URL in base64 or percent-encoded.

    Raises:
        InvalidInput: it is none of these, or empty.
    """
    text = text.strip()
    prefix = _DATA_URL.match(text)
    if prefix is None and text[:5].lower() == "data:":
        raise InvalidInput("is a data URL without data (data:image/png;base64,...)")
    if prefix is None:
        data = _decode_base64(text.encode())
    else:
        data = _unescaped(text[prefix.end() :].encode())
        if prefix[1].lower().replace(" ", "").endswith(";base64"):
            data = _decode_base64(data)
    if not data:
        raise InvalidInput("is empty")
    return data


def _unescaped(data: bytes) -> bytes:
    """%41 as A. In blocks of arrays, where `urllib` makes an object of each of a body's 16 million escapes."""
    blocks, at = [], 0
    while at < len(data):
        end = at + _BLOCK_BYTES
        cut = data.rfind(b"%", end - 2, end)
        end = cut if cut > at else end
        blocks.append(_unescaped_block(data[at:end]))
        at = end
    return b"".join(blocks)


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


def _decode_base64(text: bytes) -> bytes:
    """Either alphabet, padded or not, white space ignored."""
    try:
        packed = text.translate(_STANDARD, _SPACES)
        body = packed.rstrip(b"=")
        if len(packed) - len(body) > 2:
            raise InvalidInput("is not valid base64")
        return base64.b64decode(body + b"=" * (-len(body) % 4), validate=True)
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
