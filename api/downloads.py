"""What image servers do besides sending a file, inside **fetch**: compressed answers, cookies for own redirects."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import httpx

MAX_MEMBERS = 100
"""Of a gzip file; each costs time even when it is empty."""
MAX_COOKIES = 50
MAX_COOKIE_CHARS = 4096
_AUTO_DETECT = zlib.MAX_WBITS | 32
"""gzip's or zlib's header, whichever is there."""


class BrokenCompression(Exception):
    """The data is not what its Content-Encoding says."""


class Inflater:
    """Unfolds a compressed body while it arrives, never by more than is asked for.

    Args:
        encoding: the Content-Encoding: gzip, x-gzip or deflate.

    Raises:
        KeyError: another encoding.
    """

    def __init__(self, encoding: str) -> None:
        self._wbits = {"gzip": _AUTO_DETECT, "x-gzip": _AUTO_DETECT, "deflate": _AUTO_DETECT}[encoding]
        self._raw_is_possible = encoding == "deflate"
        self._unpacker = zlib.decompressobj(self._wbits)
        self._began = False
        self._members = 1

    def inflate(self, chunk: bytes, max_bytes: int) -> bytes:
        """What a chunk unfolds to, at most `max_bytes` of it.

        Raises:
            BrokenCompression: it is not compressed in this way.
        """
        unfolded = bytearray()
        while chunk and len(unfolded) < max_bytes:
            if self._unpacker.eof:
                # Files of several members are one file (RFC 1952).
                self._members += 1
                if self._members > MAX_MEMBERS:
                    raise BrokenCompression
                self._unpacker = zlib.decompressobj(self._wbits)
            unfolded += self._step(chunk, max_bytes - len(unfolded))
            chunk = self._unpacker.unused_data if self._unpacker.eof else self._unpacker.unconsumed_tail
        return bytes(unfolded)

    def _step(self, chunk: bytes, max_bytes: int) -> bytes:
        try:
            unfolded = self._unpacker.decompress(chunk, max_bytes)
        except zlib.error as error:
            if self._began or not self._raw_is_possible:
                raise BrokenCompression from error
            # Servers send raw deflate under this name, too.
            self._began, self._wbits = True, -zlib.MAX_WBITS
            self._unpacker = zlib.decompressobj(self._wbits)
            return self._step(chunk, max_bytes)
        self._began = True
        return unfolded

    @property
    def complete(self) -> bool:
        """Whether the compressed data has reached its own end."""
        return self._unpacker.eof


class Cookies:
    """The cookies of one download, each for the host that set it: some servers redirect until theirs comes back."""

    def __init__(self) -> None:
        self._by_host: dict[bytes, dict[str, tuple[str, bool]]] = {}

    def keep(self, url: httpx.URL, headers: Sequence[str]) -> None:
        """Take the Set-Cookie headers of an answer; what is malformed or too much is dropped."""
        jar = self._by_host.setdefault(url.raw_host, {})
        for header in headers:
            pair, *attributes = header.split(";")
            name, equals, value = (part.strip() for part in pair.partition("="))
            names = {attribute.strip().lower() for attribute in attributes}
            if "max-age=0" in names:
                jar.pop(name, None)
            elif equals and name and len(jar) < MAX_COOKIES and (name + value).isascii() and pair.isprintable():
                jar[name] = (value, "secure" in names)

    def header_for(self, url: httpx.URL) -> dict[str, str]:
        """The Cookie header for the same host, or nothing. Secure ones only go over https."""
        jar = self._by_host.get(url.raw_host, {})
        pairs = [f"{name}={value}" for name, (value, secure) in jar.items() if url.scheme == "https" or not secure]
        text = "; ".join(pairs)
        return {"Cookie": text} if text and len(text) <= MAX_COOKIE_CHARS else {}
