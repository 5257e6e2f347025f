"""Images made for the tests."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image as PillowImage


def gradient(width: int = 256, height: int = 256) -> np.ndarray:
    """RGB (H, W, 3): red rises to the right, green downwards, blue is constant."""
    x = np.linspace(0, 255, width).astype(np.uint8)
    y = np.linspace(0, 255, height).astype(np.uint8)
    return np.stack(
        [np.tile(x, (height, 1)), np.tile(y[:, None], (1, width)), np.full((height, width), 90, np.uint8)], axis=-1
    )


def encoded(pixels: np.ndarray | PillowImage.Image, file_format: str = "PNG", **options: object) -> bytes:
    image = PillowImage.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def photo(width: int = 256, height: int = 256) -> str:
    """A valid base image as a request carries it."""
    return base64_of(encoded(gradient(width, height)))


def mask(width: int = 256, height: int = 256, *, filled: bool = True) -> np.ndarray:
    """A white square in the middle of black, or all black."""
    pixels = np.zeros((height, width), np.uint8)
    if filled:
        pixels[height // 4 : height // 2, width // 4 : width // 2] = 255
    return pixels
