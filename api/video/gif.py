"""GIF89a taken apart and put together: how many frames of which size and time, without decoding one.

A file is written frame by frame, each as Pillow writes a still image, so that no clip is ever held as a whole.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from PIL import Image as PillowImage

from api.video.pieces import Clip, Piece, corrupt
from composition.ports.video import Frame

START = (b"GIF87a", b"GIF89a")
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_CONTROL, _APPLICATION = 0xF9, 0xFF
_LOOPS = b"\x0bNETSCAPE2.0\x03\x01"
_TICK_US = 10_000
_LEAST_TICKS, _BROWSERS_TICKS = 2, 10
"""What says less is shown by every browser as if it said the second."""
_KEPT_UNTIL_NEXT = 0x04


@dataclass(kw_only=True)
class _Reader:
    """Walks over a file's blocks. Raises: UnprocessableImage where the next one is not whole."""

    data: bytes
    at: int = 0

    def take(self, count: int) -> bytes:
        taken = self.data[self.at : self.at + count]
        if len(taken) < count:
            raise corrupt()
        self.at += count
        return taken

    def byte(self) -> int:
        return self.take(1)[0]

    def skip_table(self, flags: int) -> None:
        if flags & 0x80:
            self.take(3 << ((flags & 7) + 1))

    def skip_blocks(self) -> None:
        data, at, end = self.data, self.at, len(self.data)
        while at < end and data[at]:
            at += data[at] + 1
        if at >= end:
            raise corrupt()
        self.at = at + 1


def read(data: bytes) -> Clip:
    """What is known of a clip before its first frame; its pieces are read while they are asked for.

    Raises: UnprocessableImage: it is none.
    """
    reader = _Reader(data=data)
    reader.take(6)
    width, height, flags = struct.unpack("<HHBxx", reader.take(7))
    reader.skip_table(flags)
    at = data.find(_LOOPS, 0, 4096)
    # A file that does not say is shown once; one that says n is shown n times again.
    loops = 1 if at < 0 else int.from_bytes(data[at + len(_LOOPS) : at + len(_LOOPS) + 2], "little")
    if at >= 0 and loops:
        loops += 1
    return Clip(size=(width, height), loops=loops, pieces=_pieces(reader, (width, height)))


def _pieces(reader: _Reader, screen: tuple[int, int]) -> Iterator[Piece]:
    ticks = 0
    while (kind := reader.byte()) != _TRAILER:
        if kind == _EXTENSION:
            if reader.byte() == _CONTROL and reader.data[reader.at : reader.at + 1] == b"\x04":
                ticks = int.from_bytes(reader.data[reader.at + 2 : reader.at + 4], "little")
            reader.skip_blocks()
        elif kind == _IMAGE:
            left, top, width, height, flags = struct.unpack("<HHHHB", reader.take(9))
            if left + width > screen[0] or top + height > screen[1]:
                raise corrupt()
            reader.skip_table(flags)
            reader.take(1)
            reader.skip_blocks()
            yield Piece(duration_us=_TICK_US * (_BROWSERS_TICKS if ticks < _LEAST_TICKS else ticks))
            ticks = 0
        else:
            raise corrupt()


def write(frames: Iterable[Frame], *, loops: int) -> bytes:
    """A file of frames of one size, each with 256 colours of its own and its time in hundredths of a second."""
    out = io.BytesIO()
    for frame in frames:
        height, width = frame.image.shape[:2]
        if not out.tell():
            out.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0))
            if loops != 1:
                again = max(loops - 1, 0)
                out.write(bytes([_EXTENSION, _APPLICATION]) + _LOOPS + struct.pack("<H", again) + b"\x00")
        end = frame.start_us + frame.duration_us
        ticks = max(_LEAST_TICKS, round(end / _TICK_US) - round(frame.start_us / _TICK_US))
        out.write(struct.pack("<BBBBHBB", _EXTENSION, _CONTROL, 4, _KEPT_UNTIL_NEXT, min(ticks, 0xFFFF), 0, 0))
        out.write(_image_block(PillowImage.fromarray(frame.image)))
    out.write(bytes([_TRAILER]))
    return out.getvalue()


def _image_block(image: PillowImage.Image) -> bytes:
    """A still GIF's only image with the table of its colours, which becomes its own."""
    still = io.BytesIO()
    image.quantize(256, dither=PillowImage.Dither.NONE).save(still, "GIF")
    reader = _Reader(data=still.getvalue(), at=10)
    flags = reader.byte()
    reader.take(2)
    begin = reader.at
    reader.skip_table(flags)
    table = reader.data[begin : reader.at]
    while reader.byte() == _EXTENSION:
        reader.take(1)
        reader.skip_blocks()
    place, own_flags, pixels = reader.take(8), reader.byte(), reader.at
    own_table = b""
    if own_flags & 0x80:
        reader.skip_table(own_flags)
        own_table, pixels = reader.data[pixels : reader.at], reader.at
        flags = own_flags
    reader.take(1)
    reader.skip_blocks()
    kept = 0x80 | (own_flags & 0x40) | (flags & 7)
    return bytes([_IMAGE]) + place + bytes([kept]) + (own_table or table) + reader.data[pixels : reader.at]
