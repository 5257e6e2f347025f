"""Bytes <-> pixels: fetch -> **decode** -> route ... blend -> **encode**.

Decoding is the first thing that touches untrusted bytes: only three parsers may run, the size is read from the header
before a pixel is decoded, and whatever a parser makes of hostile bytes ends as one of two errors.
"""

from __future__ import annotations

import io
import logging
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from api.color import to_srgb
from api.containers import Container, unwrap
from api.masks import read_mask
from api.planes import mask_planes, planes
from composition.errors import CompositionError, PayloadTooLarge, UnprocessableImage
from composition.images import Image, Mask
from composition.ports.codec import MaskReading
from composition.request import MaskMode, OutputFormat

logger = logging.getLogger(__name__)

FORMATS = ("JPEG", "PNG", "WEBP")

_FAST_PNG = {"compress_level": 1, "compress_type": zlib.Z_RLE}
"""On photographs faster than the default by far, and smaller than level 1 with its usual strategy (by 10-15 %)."""

_ORIENTATIONS = {
    2: PillowImage.Transpose.FLIP_LEFT_RIGHT,
    3: PillowImage.Transpose.ROTATE_180,
    4: PillowImage.Transpose.FLIP_TOP_BOTTOM,
    5: PillowImage.Transpose.TRANSPOSE,
    6: PillowImage.Transpose.ROTATE_270,
    7: PillowImage.Transpose.TRANSVERSE,
    8: PillowImage.Transpose.ROTATE_90,
}
_FIRST_TURNED_ORIENTATION = 5
"""From here on width and height change places."""


class PillowCodec:
    """An `ImageCodec` over Pillow; stateless, safe to call from many threads."""

    def __init__(self, *, max_side_px: int) -> None:
        self._max_side_px = max_side_px

    def decode(self, data: bytes) -> Image:
        """Raises: UnprocessableImage (of another format, animated, truncated or corrupt), PayloadTooLarge (a side)."""
        with self._opened(data) as (image, container, _):
            color, alpha = planes(image, container)
            rgb = _over_white(to_srgb(color, container.profile), alpha)
            return np.array(_oriented(rgb, container), dtype=np.uint8)

    def measure(self, data: bytes) -> tuple[int, int]:
        """Reads the file to its end, a JPEG at an eighth of its resolution; the size is that after orientation."""
        with self._opened(data, reduced=True) as (_, container, size):
            return size if container.orientation < _FIRST_TURNED_ORIENTATION else size[::-1]

    def decode_mask(self, data: bytes, mode: MaskMode) -> MaskReading:
        """As `masks.read_mask` has it. UnprocessableImage also for a mask that can mean either side."""
        with self._opened(data) as (image, container, _):
            color, alpha = mask_planes(image, container)
            return read_mask(_oriented(color, container), None if alpha is None else _oriented(alpha, container), mode)

    def encode(self, image: Image, output_format: OutputFormat) -> tuple[bytes, str]:
        """Without metadata; PNG and WebP are lossless, JPEG has quality 95 without chroma subsampling."""
        buffer = io.BytesIO()
        pillow = PillowImage.fromarray(image)
        if output_format is OutputFormat.PNG:
            pillow.save(buffer, "PNG", **_FAST_PNG)
        elif output_format is OutputFormat.JPEG:
            pillow.save(buffer, "JPEG", quality=95, subsampling=0)
        else:
            pillow.save(buffer, "WEBP", lossless=True, quality=0, method=0)
        return buffer.getvalue(), f"image/{output_format.value}"

    def encode_mask(self, mask: Mask) -> bytes:
        buffer = io.BytesIO()
        PillowImage.fromarray(mask).save(buffer, "PNG", **_FAST_PNG)
        return buffer.getvalue()

    @contextmanager
    def _opened(
        self, data: bytes, *, reduced: bool = False
    ) -> Iterator[tuple[PillowImage.Image, Container, tuple[int, int]]]:
        """The loaded image, its container and its size as stored; whatever decoding raises inside is translated."""
        try:
            container = unwrap(data)
            with PillowImage.open(io.BytesIO(container.pixels), formats=FORMATS) as image:
                self._check_header(image, container)
                size = image.size
                if reduced:
                    image.draft(None, (max(1, size[0] // 8), max(1, size[1] // 8)))
                image.load()
                yield image, container, size
        except CompositionError:
            raise
        except (PillowImage.DecompressionBombError, PillowImage.DecompressionBombWarning) as error:
            raise self._too_large() from error
        except UnidentifiedImageError as error:
            raise UnprocessableImage("is not a JPEG, PNG or WebP image") from error
        except Exception as error:
            # Parsers of hostile bytes raise nearly anything (struct.error, zlib.error, IndexError, MemoryError ...).
            logger.info("an image could not be decoded: %r", error)
            raise UnprocessableImage("is truncated or corrupt") from error

    def _check_header(self, image: PillowImage.Image, container: Container) -> None:
        if max(image.size) > self._max_side_px:
            raise self._too_large(image.size)
        if container.animated or (image.format == "WEBP" and getattr(image, "is_animated", False)):
            raise UnprocessableImage("is animated; send a single image")

    def _too_large(self, size: tuple[int, int] | None = None) -> PayloadTooLarge:
        of = f" is {size[0]}x{size[1]} pixels," if size else " has too many pixels,"
        return PayloadTooLarge(
            f"the image{of} at most {self._max_side_px} per side are allowed",
            details={"max_side_px": self._max_side_px},
        )


def _oriented(image: PillowImage.Image, container: Container) -> PillowImage.Image:
    method = _ORIENTATIONS.get(container.orientation)
    return image if method is None else image.transpose(method)


def _over_white(color: PillowImage.Image, alpha: PillowImage.Image | None) -> PillowImage.Image:
    if alpha is None:
        return color
    white = PillowImage.new("RGB", color.size, (255, 255, 255))
    white.paste(color, mask=alpha)
    return white
