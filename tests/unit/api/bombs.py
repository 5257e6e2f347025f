"""Small files that would unfold to something huge."""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@lru_cache
def one_bit_png(side_px: int, *, extra: bytes = b"") -> bytes:
    """A black one-bit PNG of any size: 30000 x 30000 pixels in 110 kB. `extra` chunks go before the pixels."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (side_px + 7) // 8)
    rows_at_once = max(1, 2**20 // len(row))
    pixels = bytearray()
    left = side_px
    while left:
        count = min(left, rows_at_once)
        pixels += packer.compress(row * count)
        left -= count
    pixels += packer.flush()
    header = struct.pack(">IIBBBBB", side_px, side_px, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + extra
        + png_chunk(b"IDAT", bytes(pixels))
        + png_chunk(b"IEND", b"")
    )


def deflated_zeros(size_bytes: int) -> bytes:
    packer = zlib.compressobj(9)
    packed = bytearray()
    block = bytes(2**20)
    for _ in range(size_bytes // len(block)):
        packed += packer.compress(block)
    return bytes(packed + packer.flush())
