"""Bytes <-> pixels: fetch -> **decode** -> route ... blend -> **encode**.

Decoding is the first thing that touches untrusted bytes: only three parsers may run, the size is read from the header
before a pixel is decoded, and whatever a parser makes of hostile bytes ends as one of two errors.
"""

from __future__ import annotations

import io
import logging
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from api.color import to_srgb
from api.containers import Container, unwrap
from api.masks import read_mask
from api.planes import mask_planes, planes
from api.provenance import png_texts, xmp_packet
from composition.config import LimitsConfig
from composition.errors import CompositionError, PayloadTooLarge, UnprocessableImage
from composition.images import Image, Mask
from composition.ports.codec import MaskReading
from composition.request import MaskMode, OutputFormat, Oversize

logger = logging.getLogger(__name__)

FORMATS = ("JPEG", "PNG", "WEBP")

_JPEG_QUALITY = 95
_SMALL_QUALITY = 80
FAST_PNG = {"compress_level": 1, "compress_type": zlib.Z_RLE}
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
    """An `ImageCodec` over Pillow, safe to call from many threads.

    Images that are to be reduced are decoded one at a time: each may take hundreds of megabytes.

    Args:
        max_side_px: what is larger is refused or reduced.
        max_megapixels: what is larger is not decoded to be reduced either.
    """

    def __init__(self, *, max_side_px: int, max_megapixels: int = 50) -> None:
        self._max_side_px = max_side_px
        self._max_megapixels = max_megapixels
        self._large = threading.Lock()

    def decode(self, data: bytes, oversize: Oversize = Oversize.REFUSE) -> Image:
        """Raises: UnprocessableImage (of another format, animated, truncated or corrupt), PayloadTooLarge."""
        with self._opened(data, oversize) as (image, container, target):
            color, alpha = planes(image, container)
            if alpha is None:
                rgb = to_srgb(_reduced(color, target), container.profile)
            else:  # colours under transparent pixels must not bleed into their neighbours
                rgb = _reduced(_over_white(to_srgb(color, container.profile), alpha), target)
            return np.array(_oriented(rgb, container), dtype=np.uint8)

    def measure(self, data: bytes, oversize: Oversize = Oversize.REFUSE) -> tuple[int, int]:
        """Reads the file to its end, a JPEG at an eighth of its resolution; the size is that after orientation."""
        with self._opened(data, oversize, for_size=True) as (_, container, target):
            return _turned(target, container)

    def size_as_sent(self, data: bytes) -> tuple[int, int]:
        """Reads no pixel."""
        with _translated(self._too_large):
            container = unwrap(data)
            with PillowImage.open(io.BytesIO(container.pixels), formats=FORMATS) as image:
                return _turned(image.size, container)

    def decode_mask(self, data: bytes, mode: MaskMode, oversize: Oversize = Oversize.REFUSE) -> MaskReading:
        """As `masks.read_mask` has it. UnprocessableImage also for a mask that can mean either side."""
        with self._opened(data, oversize) as (image, container, target):
            color, alpha = (
                None if plane is None else _oriented(_reduced(plane, target), container)
                for plane in mask_planes(image, container)
            )
            assert color is not None
            return read_mask(color, alpha, mode)

    def encode(
        self,
        image: Image,
        output_format: OutputFormat,
        parameters: Mapping[str, Any] | None = None,
        *,
        quality: int | None = None,
    ) -> tuple[bytes, str]:
        """PNG is lossless, WebP too unless it has a quality; JPEG has quality 95, without chroma subsampling.

        Without metadata but for what `parameters` are written as: see `provenance`.
        """
        buffer = io.BytesIO()
        pillow = PillowImage.fromarray(image)
        xmp = {} if parameters is None else {"xmp": xmp_packet(parameters)}
        if output_format is OutputFormat.PNG:
            texts = None if parameters is None else png_texts(parameters)
            pillow.save(buffer, "PNG", pnginfo=texts, **FAST_PNG)
        elif output_format is OutputFormat.JPEG:
            pillow.save(buffer, "JPEG", quality=quality or _JPEG_QUALITY, subsampling=0, **xmp)
        elif quality is not None:
            pillow.save(buffer, "WEBP", quality=quality, **xmp)
        else:
            pillow.save(buffer, "WEBP", lossless=True, quality=0, method=0, **xmp)
        return buffer.getvalue(), f"image/{output_format.value}"

    def reduce(self, data: bytes, max_side_px: int) -> tuple[bytes, str]:
        """A WebP file with losses, no side longer than `max_side_px`. Raises: as `decode`."""
        image = PillowImage.fromarray(self.decode(data, Oversize.DOWNSCALE))
        image.thumbnail((max_side_px, max_side_px), PillowImage.Resampling.LANCZOS, reducing_gap=2.0)
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=_SMALL_QUALITY)
        return buffer.getvalue(), "image/webp"

    def encode_mask(self, mask: Mask) -> bytes:
        buffer = io.BytesIO()
        PillowImage.fromarray(mask).save(buffer, "PNG", **FAST_PNG)
        return buffer.getvalue()

    @contextmanager
    def _opened(
        self, data: bytes, oversize: Oversize, *, for_size: bool = False
    ) -> Iterator[tuple[PillowImage.Image, Container, tuple[int, int]]]:
        """The loaded image, its container, and the size as stored that it is to have.

        Whatever decoding raises inside is translated.
        """
        with _translated(self._too_large):
            container = unwrap(data)
            with PillowImage.open(io.BytesIO(container.pixels), formats=FORMATS) as image:
                self._check_header(image, container, oversize)
                size, target = image.size, self._allowed(image.size)
                if for_size:
                    image.draft(None, (max(1, size[0] // 8), max(1, size[1] // 8)))
                elif target != size:
                    image.draft(None, target)  # a JPEG is decoded at a half, a quarter or an eighth of its size
                with self._large if target != size else nullcontext():
                    image.load()
                    yield image, container, target

    def _allowed(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size itself, or of what is too large one of the same proportions whose longer side is just allowed."""
        longest = max(size)
        if longest <= self._max_side_px:
            return size
        width, height = (max(1, round(side * self._max_side_px / longest)) for side in size)
        return width, height

    def _check_header(self, image: PillowImage.Image, container: Container, oversize: Oversize) -> None:
        if max(image.size) > self._max_side_px:
            if oversize is Oversize.REFUSE:
                raise self._too_large(image.size)
            self._check_reducible(image.size)
        if container.animated or (image.format == "WEBP" and getattr(image, "is_animated", False)):
            raise UnprocessableImage("is animated; send a single image")

    def _check_reducible(self, size: tuple[int, int]) -> None:
        width, height = size
        if width * height > self._max_megapixels * 1_000_000:
            raise PayloadTooLarge(
                f"the image is {width}x{height} pixels, at most {self._max_megapixels} megapixels are reduced",
                details={"max_megapixels": self._max_megapixels},
            )

    def _too_large(self, size: tuple[int, int] | None = None) -> PayloadTooLarge:
        of = f" is {size[0]}x{size[1]} pixels," if size else " has too many pixels,"
        return PayloadTooLarge(
            f"the image{of} at most {self._max_side_px} per side are allowed",
            details={"max_side_px": self._max_side_px},
        )


def make_codec(limits: LimitsConfig) -> PillowCodec:
    """As the configuration bounds images."""
    return PillowCodec(max_side_px=limits.max_resolution, max_megapixels=limits.max_downscaled_megapixels)


@contextmanager
def _translated(too_large: Callable[[], PayloadTooLarge]) -> Iterator[None]:
    try:
        yield
    except CompositionError:
        raise
    except (PillowImage.DecompressionBombError, PillowImage.DecompressionBombWarning) as error:
        raise too_large() from error
    except UnidentifiedImageError as error:
        raise UnprocessableImage("is not a JPEG, PNG or WebP image") from error
    except Exception as error:
        # Parsers of hostile bytes raise nearly anything (struct.error, zlib.error, IndexError, MemoryError ...).
        logger.info("an image could not be decoded: %r", error)
        raise UnprocessableImage("is truncated or corrupt") from error


def _reduced(image: PillowImage.Image, size: tuple[int, int]) -> PillowImage.Image:
    if image.size == size:
        return image
    return image.resize(size, PillowImage.Resampling.LANCZOS, reducing_gap=3.0)


def _turned(size: tuple[int, int], container: Container) -> tuple[int, int]:
    return size if container.orientation < _FIRST_TURNED_ORIENTATION else size[::-1]


def _oriented(image: PillowImage.Image, container: Container) -> PillowImage.Image:
    method = _ORIENTATIONS.get(container.orientation)
    return image if method is None else image.transpose(method)


def _over_white(color: PillowImage.Image, alpha: PillowImage.Image | None) -> PillowImage.Image:
    if alpha is None:
        return color
    white = PillowImage.new("RGB", color.size, (255, 255, 255))
    white.paste(color, mask=alpha)
    return white
