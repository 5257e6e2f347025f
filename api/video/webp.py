"""Animated WebP taken apart and put together, as `gif` does it with GIF."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator

from PIL import Image as PillowImage

from api.video.pieces import Clip, Piece, corrupt
from composition.errors import UnprocessableImage
from composition.ports.video import Frame

_ANIMATION = 0x02
_NO_BLENDING = 0x02
_HEADER_BYTES = 12
_FRAME_HEADER_BYTES = 16
_MAX_MS = 2**24 - 1


def is_webp(data: bytes) -> bool:
    """By the first bytes."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def read(data: bytes) -> Clip:
    """As `gif.read`. Raises: UnprocessableImage: also for a still image."""
    chunks = _chunks(data)
    kind, header = next(chunks, (b"", b""))
    if kind != b"VP8X" or len(header) < 10 or not header[0] & _ANIMATION:
        raise UnprocessableImage("is a single image; a video has at least two frames")
    size = 1 + int.from_bytes(header[4:7], "little"), 1 + int.from_bytes(header[7:10], "little")
    at = data.find(b"ANIM", 0, 2**20)
    loops = int.from_bytes(data[at + 12 : at + 14], "little") if at > 0 else 0
    return Clip(size=size, loops=loops, pieces=_pieces(chunks, size))


def _pieces(chunks: Iterator[tuple[bytes, bytes]], canvas: tuple[int, int]) -> Iterator[Piece]:
    for kind, body in chunks:
        if kind != b"ANMF":
            continue
        if len(body) < _FRAME_HEADER_BYTES:
            raise corrupt()
        x, y, width, height, duration_ms = (int.from_bytes(body[at : at + 3], "little") for at in range(0, 15, 3))
        if 2 * x + width + 1 > canvas[0] or 2 * y + height + 1 > canvas[1]:
            raise corrupt()
        yield Piece(duration_us=duration_ms * 1000)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and head of each; of frames' pixels nothing is copied. Raises: UnprocessableImage: one is not whole."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise corrupt()
    at = _HEADER_BYTES
    while at + 8 <= end:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > end:
            raise corrupt()
        yield data[at : at + 4], data[at + 8 : at + 8 + min(length, 32)]
        at += 8 + length + length % 2


def write(frames: Iterable[Frame], *, loops: int, quality: int | None) -> bytes:
    """A file of frames of one size, without losses unless there is a quality; times in milliseconds."""
    body = io.BytesIO()
    for frame in frames:
        height, width = frame.image.shape[:2]
        if not body.tell():
            size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
            body.write(_chunk(b"VP8X", bytes([_ANIMATION, 0, 0, 0]) + size))
            body.write(_chunk(b"ANIM", b"\x00\x00\x00\x00" + struct.pack("<H", min(loops, 0xFFFF))))
        end = frame.start_us + frame.duration_us
        shown_ms = min(max(1, round(end / 1000) - round(frame.start_us / 1000)), _MAX_MS)
        head = bytes(6) + size + shown_ms.to_bytes(3, "little") + bytes([_NO_BLENDING])
        body.write(_chunk(b"ANMF", head + _still(PillowImage.fromarray(frame.image), quality)))
    inside = body.getvalue()
    return b"RIFF" + struct.pack("<I", 4 + len(inside)) + b"WEBP" + inside


def _still(image: PillowImage.Image, quality: int | None) -> bytes:
    """The chunk of a still file's pixels."""
    still = io.BytesIO()
    if quality is None:
        image.save(still, "WEBP", lossless=True, quality=0, method=0)
    else:
        image.save(still, "WEBP", quality=quality)
    return still.getvalue()[_HEADER_BYTES:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
