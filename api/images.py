"""What a picture field carries: base64, a data URL, or a URL for the fetcher. **fetch** -> decode."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import contextmanager

from composition.errors import CompositionError, InvalidInput

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_SPACES = str.maketrans("", "", " \t\r\n\f\v")


def is_url(text: str) -> bool:
    """Whether a picture field names a place; of any scheme, so that the fetcher says which it refuses."""
    return _URL.match(text.lstrip()) is not None


def decode_base64(text: str) -> bytes:
    """The bytes of base64 text, with or without a data-URL prefix; white space in it is ignored.

    Raises:
        InvalidInput: it is not base64, or empty.
    """
    text = text.strip()
    prefix = _DATA_URL.match(text)
    if prefix:
        text = text[prefix.end() :]
    elif text[:5].lower() == "data:":
        raise InvalidInput("is a data URL that is not base64 (data:image/png;base64,...)")
    try:
        data = base64.b64decode(text.translate(_SPACES).encode("ascii"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("is not valid base64") from error
    if not data:
        raise InvalidInput("is empty")
    return data


@contextmanager
def naming(field: str) -> Iterator[None]:
    """Say in an error which field it is about."""
    try:
        yield
    except CompositionError as error:
        error.message = f"{field}: {error.message}"
        error.details["field"] = field
        raise
