"""Bytes <-> pixels."""

from __future__ import annotations

from typing import Protocol

from composition.images import Image, Mask
from composition.request import OutputFormat


class ImageCodec(Protocol):
    """Bytes <-> pixels. CPU-bound: called through threads."""

    def decode(self, data: bytes) -> Image:
        """Orientation applied, converted to sRGB, alpha over white.

        Raises: UnprocessableImage, PayloadTooLarge.
        """
        ...

    def measure(self, data: bytes) -> tuple[int, int]:
        """Width and height of what `decode` gives, known to succeed, but cheaper where the format allows.

        Raises: as `decode`.
        """
        ...

    def decode_mask(self, data: bytes) -> Mask:
        """Like `decode`, to one channel; white = repaint."""
        ...

    def encode(self, image: Image, output_format: OutputFormat) -> tuple[bytes, str]:
        """The encoded picture and its media type."""
        ...

    def encode_mask(self, mask: Mask) -> bytes:
        """A greyscale PNG."""
        ...
