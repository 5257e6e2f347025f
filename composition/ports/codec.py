from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from composition.images import Image, Mask
from composition.request import MaskMode, OutputFormat, Oversize


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskReading:
    """A user's mask, strictly 0 or 255, and how it was read where that is not plain."""

    mask: Mask
    note: str | None = None


class ImageCodec(Protocol):
    """Bytes <-> pixels. CPU-bound: called through threads.

    What is larger than is allowed is refused, or reduced to what is allowed: as `oversize` says.
    """

    def decode(self, data: bytes, oversize: Oversize = Oversize.REFUSE) -> Image:
        """Orientation applied, converted to sRGB, alpha over white.

        Raises: UnprocessableImage, PayloadTooLarge.
        """
        ...

    def measure(self, data: bytes, oversize: Oversize = Oversize.REFUSE) -> tuple[int, int]:
        """Width and height of what `decode` gives, known to succeed, but cheaper where the format allows.

        Raises: as `decode`.
        """
        ...

    def size_as_sent(self, data: bytes) -> tuple[int, int]:
        """Width and height of the file after orientation, from its header alone. Raises: as `decode`."""
        ...

    def reduce(self, data: bytes, max_side_px: int) -> tuple[bytes, str]:
        """A small file of an image, for lists of them, and its media type. Raises: as `decode`."""
        ...

    def decode_mask(self, data: bytes, mode: MaskMode, oversize: Oversize = Oversize.REFUSE) -> MaskReading:
        """Like `decode`, to the side that is repainted. Raises: EmptyMask as well."""
        ...

    def encode(
        self,
        image: Image,
        output_format: OutputFormat,
        parameters: Mapping[str, Any] | None = None,
        *,
        quality: int | None = None,
    ) -> tuple[bytes, str]:
        """The encoded image and its media type; with `parameters` the file says how it was made.

        `quality` is 1..100, None for the format's own; PNG has none.
        """
        ...

    def encode_mask(self, mask: Mask) -> bytes:
        """A greyscale PNG."""
        ...
