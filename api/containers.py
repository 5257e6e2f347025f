"""The container around an image's pixels, read before any decoder: bytes -> **unwrap** -> decode.

A decoder gets a file without metadata, so that texts, thumbnails and profiles never decide whether the pixels can be
read, and nothing in them unfolds. What matters of the metadata is read here, in bounded time and memory: the ICC
profile, the container's own EXIF (browsers honour no other orientation), and the transparent colour of a PNG.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from composition.errors import UnprocessableImage

MAX_PROFILE_BYTES = 4 * 1024 * 1024
"""Real profiles have some kilobytes, printers' up to two megabytes; a larger one is ignored."""
MAX_PARTS = 100_000
"""Chunks or segments of a file: walking through so many takes some 50 ms; real files have a few thousand."""

_PNG_START, _JPEG_START = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_GREY, _TRUECOLOUR, _PALETTE, _GREY_ALPHA = 0, 2, 3, 4
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_START_OF_SCAN, _APP1, _APP2, _COMMENT = 0xDA, 0xE1, 0xE2, 0xFE
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xDA)})
_JPEG_METADATA = frozenset({_COMMENT, *range(_APP1, 0xEE), 0xEF})
"""COM and every APPn but APP0 (JFIF) and APP14 (Adobe), which say how the colours are stored."""
_EXIF_HEADER, _ICC_HEADER = b"Exif\x00\x00", b"ICC_PROFILE\x00"
_ORIENTATION_TAG, _SHORT = 0x0112, 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Container:
    """A file taken apart.

    Attributes:
        pixels: the file without its metadata: what a decoder is given.
        profile: the embedded ICC profile; None when there is none, or a broken or oversized one.
        orientation: 1..8 of the container's EXIF, 1 without one.
        animated: a PNG that says that it has several frames (of a WebP the decoder knows).
        depth: bits per sample.
        grey: a PNG without colours, whatever mode a decoder gives it.
        key: the samples of a PNG's transparent colour, one (grey) or three (RGB).
    """

    pixels: bytes
    profile: bytes | None = None
    orientation: int = 1
    animated: bool = False
    depth: int = 8
    grey: bool = False
    key: tuple[int, ...] | None = None


def unwrap(data: bytes) -> Container:
    """Take a file apart, as far as it is sound; what is not of a known format stays as it is.

    Raises:
        UnprocessableImage: it has absurdly many parts.
    """
    if data.startswith(_PNG_START) and data[12:16] == b"IHDR" and len(data) > 25:
        return _unwrap_png(data)
    if data.startswith(_JPEG_START):
        return _unwrap_jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _unwrap_webp(data)
    return Container(pixels=data)


class _Part(NamedTuple):
    """A chunk or segment: data[start:end] with its frame, data[body:body_end] without; `kind` None: not understood."""

    kind: bytes | int | None
    start: int
    end: int
    body: int = 0
    body_end: int = 0


def _unwrap_png(data: bytes) -> Container:
    depth, color_type = data[24], data[25]
    found: dict[bytes | int | None, bytes] = {}
    kept = _Kept(data)
    pixels_began = False
    for part in _counted(_png_chunks(data)):
        kind = part.kind
        if not isinstance(kind, bytes) or not kind[0] & 0x20 or (kind == b"tRNS" and color_type == _PALETTE):
            kept.add(part)
            pixels_began = pixels_began or kind == b"IDAT"
        elif kind == b"fdAT":
            found[kind] = b""
        elif kind in (b"iCCP", b"eXIf", b"tRNS") or (kind == b"acTL" and not pixels_began):
            body = data[part.body : part.body_end]
            if data[part.body_end : part.end] == struct.pack(">I", zlib.crc32(body, zlib.crc32(kind))):
                found.setdefault(kind, body)
    return Container(
        pixels=kept.joined(len(_PNG_START)),
        profile=_inflated_profile(found.get(b"iCCP", b"")),
        orientation=_orientation(found.get(b"eXIf", b"")),
        animated=_is_animated(found.get(b"acTL", b""), has_frames=b"fdAT" in found),
        depth=depth,
        grey=color_type in (_GREY, _GREY_ALPHA),
        key=_color_key(found.get(b"tRNS", b""), depth, color_type),
    )


def _png_chunks(data: bytes) -> Iterator[_Part]:
    at = len(_PNG_START)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if not kind.isalpha():
            yield _Part(None, at, len(data))
            return
        end = at + 12 + length
        yield _Part(kind, at, end, at + 8, end - 4)
        if kind == b"IEND":
            return
        at = end


def _inflated_profile(chunk: bytes) -> bytes | None:
    """Of an iCCP chunk: name, 0, method (0 is deflate), data. At most `MAX_PROFILE_BYTES` are unfolded."""
    _, _, packed = chunk.partition(b"\x00")
    if packed[:1] != b"\x00":
        return None
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed[1:], MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return None if unpacker.unconsumed_tail or not unpacker.eof else profile or None


def _is_animated(control: bytes, *, has_frames: bool) -> bool:
    """A single frame counts when it is another image than the one that plain decoders show."""
    frames = int.from_bytes(control[:4], "big") if len(control) == 8 else 0
    return frames > 1 or (frames == 1 and has_frames)


def _color_key(chunk: bytes, depth: int, color_type: int) -> tuple[int, ...] | None:
    count = {_GREY: 1, _TRUECOLOUR: 3}.get(color_type, 0)
    if not count or len(chunk) != 2 * count:
        return None
    return tuple(value & ((1 << depth) - 1) for value in struct.unpack(f">{count}H", chunk))


def _unwrap_jpeg(data: bytes) -> Container:
    exif, pieces = b"", dict[int, bytes]()
    expected = 0
    kept = _Kept(data)
    for part in _counted(_jpeg_segments(data)):
        if part.kind not in _JPEG_METADATA:
            kept.add(part)
        elif part.kind == _APP1 and not exif and data.startswith(_EXIF_HEADER, part.body):
            exif = data[part.body : part.body_end]
        elif part.kind == _APP2 and data.startswith(_ICC_HEADER, part.body) and part.body_end - part.body > 14:
            number, expected = data[part.body + 12], data[part.body + 13]
            pieces[number] = data[part.body + 14 : part.body_end]
    profile = b"".join(pieces[number] for number in sorted(pieces))
    whole = bool(pieces) and sorted(pieces) == list(range(1, expected + 1)) and len(profile) <= MAX_PROFILE_BYTES
    return Container(
        pixels=kept.joined(len(_JPEG_START)), profile=profile if whole else None, orientation=_orientation(exif)
    )


def _jpeg_segments(data: bytes) -> Iterator[_Part]:
    """The segments up to the first scan; that and everything behind it is one part."""
    at = len(_JPEG_START)
    while (marker := _JPEG_MARKER.match(data, at)) is not None:
        kind, body = marker[1][0], marker.end()
        length = int.from_bytes(data[body : body + 2], "big")
        if kind == _START_OF_SCAN or kind in _WITHOUT_LENGTH or length < 2:
            break
        yield _Part(kind, at, body + length, body + 2, body + length)
        at = body + length
    yield _Part(None, at, len(data))


def _unwrap_webp(data: bytes) -> Container:
    """Its decoder copies metadata and does nothing else with them, so the file stays as it is."""
    found: dict[bytes | int | None, bytes] = {}
    for part in _counted(_webp_chunks(data)):
        if part.kind in (b"ICCP", b"EXIF"):
            found.setdefault(part.kind, data[part.body : part.body_end])
    profile = found.get(b"ICCP", b"")
    return Container(
        pixels=data,
        profile=profile if 0 < len(profile) <= MAX_PROFILE_BYTES else None,
        orientation=_orientation(found.get(b"EXIF", b"")),
    )


def _webp_chunks(data: bytes) -> Iterator[_Part]:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        yield _Part(kind, at, at + 8 + length, at + 8, at + 8 + length)
        at += 8 + length + length % 2


def _orientation(exif: bytes) -> int:
    """Of the first directory of an EXIF block, as browsers read it: one SHORT; 1 when it has none or is broken.

    Only this tag is read: a directory may name the same megabytes of the block in each of its 65535 entries.
    """
    block = exif.removeprefix(_EXIF_HEADER)
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(block[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, directory)
        for entry in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind, values, value = struct.unpack_from(f"{order}HHIH", block, entry)
            if (tag, kind, values) == (_ORIENTATION_TAG, _SHORT, 1):
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


class _Kept:
    """The parts of a file that stay, neighbours together; a file that loses nothing is not copied."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._spans: list[tuple[int, int]] = []

    def add(self, part: _Part) -> None:
        end = min(part.end, len(self._data))
        if self._spans and self._spans[-1][1] == part.start:
            self._spans[-1] = (self._spans[-1][0], end)
        else:
            self._spans.append((part.start, end))

    def joined(self, start: int) -> bytes:
        """The first `start` bytes of the file and the parts."""
        if self._spans == [(start, len(self._data))]:
            return self._data
        view = memoryview(self._data)
        return b"".join([view[:start], *(view[begin:end] for begin, end in self._spans)])


def _counted(parts: Iterator[_Part]) -> Iterator[_Part]:
    for number, part in enumerate(parts):
        if number >= MAX_PARTS:
            raise UnprocessableImage("has more parts than any real file")
        yield part
