from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from composition.images import Image, Mask
from composition.request import MaskMode, OutputFormat


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskReading:
    """A user's mask, strictly 0 or 255, and how it was read where that is not plain."""

    mask: Mask
    note: str | None = None


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

    def decode_mask(self, data: bytes, mode: MaskMode) -> MaskReading:
        """Like `decode`, to the side that is repainted. Raises: EmptyMask as well."""
        ...

    def encode(self, image: Image, output_format: OutputFormat) -> tuple[bytes, str]:
        """The encoded image and its media type."""
        ...

    def encode_mask(self, mask: Mask) -> bytes:
        """A greyscale PNG."""
        ...
