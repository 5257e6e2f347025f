"""Clips for tests, written by Pillow's own writers."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image as PillowImage


def frame(number=0, width=300, height=260):
    """A smooth picture with a square that moves."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(0, 200, width)[None]
    image[..., 1] = np.linspace(0, 200, height)[:, None]
    image[80:120, 20 + 4 * number : 60 + 4 * number] = (0, 0, 250)
    return image


def frames(count=4, width=300, height=260):
    return [frame(number, width, height) for number in range(count)]


def clip(kind="webp", images=None, durations=100, **options):
    """A file of these frames; `durations` in milliseconds, one or for each."""
    first, *others = [PillowImage.fromarray(image) for image in (frames() if images is None else images)]
    out = io.BytesIO()
    lossless = {"lossless": True} if kind == "webp" else {}
    options = {"loop": 0, **lossless, **options}
    first.save(out, kind.upper(), save_all=True, append_images=others, duration=durations, **options)
    return out.getvalue()


def gif_of(count, width=300, height=260, ticks=5):
    """A GIF of many frames of one pixel each on a canvas of any size: some bytes a frame."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff"
    control = b"\x21\xf9\x04\x04" + struct.pack("<H", ticks) + b"\x00\x00"
    pixel = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + (control + pixel) * count + b"\x3b"
