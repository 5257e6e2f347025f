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

from api.color import in_mode, to_srgb
from composition.errors import CompositionError, PayloadTooLarge, UnprocessableImage
from composition.images import Image, Mask
from composition.request import OutputFormat

logger = logging.getLogger(__name__)

FORMATS = ("JPEG", "PNG", "WEBP")
MASK_THRESHOLD = 128
"""Of a mask's grey value (0..255): this and above is repainted."""

_FAST_PNG = {"compress_level": 1, "compress_type": zlib.Z_RLE}
"""On photographs faster than the default by far, and smaller than level 1 with its usual strategy (by 10-15 %)."""

_ORIENTATION_TAG = 0x0112
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
_SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")


class PillowCodec:
    """An `ImageCodec` over Pillow; stateless, safe to call from many threads."""

    def __init__(self, *, max_side_px: int) -> None:
        self._max_side_px = max_side_px

    def decode(self, data: bytes) -> Image:
        """Pixels as the contract defines them: oriented, sRGB, alpha over white.

        Args:
            data: a JPEG, PNG or WebP file.

        Returns:
            RGB uint8, shape (H, W, 3), contiguous.

        Raises:
            UnprocessableImage: not a picture, of another format, animated, truncated or corrupt.
            PayloadTooLarge: a side is over the limit.
        """
        with self._opened(data) as (picture, _):
            orientation = _orientation(picture)
            rgb = _over_white(to_srgb(_eight_bit(picture)))
            return np.array(_oriented(rgb, orientation), dtype=np.uint8)

    def measure(self, data: bytes) -> tuple[int, int]:
        """Whether a picture decodes, and its size: reads it to its end, a JPEG at an eighth of its resolution.

        Returns:
            Width and height after orientation, in pixels.

        Raises:
            UnprocessableImage, PayloadTooLarge: as `decode`.
        """
        with self._opened(data, reduced=True) as (picture, size):
            return size if _orientation(picture) < _FIRST_TURNED_ORIENTATION else size[::-1]

    def decode_mask(self, data: bytes) -> Mask:
        """A mask: grey value of `MASK_THRESHOLD` and above is repainted, transparent is kept.

        Returns:
            uint8, shape (H, W), strictly 0 or 255.

        Raises:
            UnprocessableImage, PayloadTooLarge: as `decode`.
        """
        with self._opened(data) as (picture, _):
            orientation = _orientation(picture)
            grey = _over_black(_eight_bit(picture))
            pixels = np.asarray(_oriented(grey, orientation), dtype=np.uint8)
            return np.where(pixels >= MASK_THRESHOLD, np.uint8(255), np.uint8(0))

    def encode(self, image: Image, output_format: OutputFormat) -> tuple[bytes, str]:
        """A file without metadata; PNG and WebP are lossless, JPEG has quality 95 without chroma subsampling.

        Returns:
            The file's bytes and its media type.
        """
        buffer = io.BytesIO()
        picture = PillowImage.fromarray(image)
        if output_format is OutputFormat.PNG:
            picture.save(buffer, "PNG", **_FAST_PNG)
        elif output_format is OutputFormat.JPEG:
            picture.save(buffer, "JPEG", quality=95, subsampling=0)
        else:
            picture.save(buffer, "WEBP", lossless=True, quality=0, method=0)
        return buffer.getvalue(), f"image/{output_format.value}"

    def encode_mask(self, mask: Mask) -> bytes:
        """A greyscale PNG."""
        buffer = io.BytesIO()
        PillowImage.fromarray(mask).save(buffer, "PNG", **_FAST_PNG)
        return buffer.getvalue()

    @contextmanager
    def _opened(self, data: bytes, *, reduced: bool = False) -> Iterator[tuple[PillowImage.Image, tuple[int, int]]]:
        """The picture and its size, the header checked; whatever decoding raises inside is translated."""
        try:
            with PillowImage.open(io.BytesIO(data), formats=FORMATS) as picture:
                self._check_header(picture)
                size = picture.size
                if reduced:
                    picture.draft(None, (max(1, size[0] // 8), max(1, size[1] // 8)))
                picture.load()
                yield picture, size
        except CompositionError:
            raise
        except (PillowImage.DecompressionBombError, PillowImage.DecompressionBombWarning) as error:
            raise self._too_large() from error
        except UnidentifiedImageError as error:
            raise UnprocessableImage("is not a JPEG, PNG or WebP picture") from error
        except Exception as error:
            # Parsers of hostile bytes raise nearly anything (struct.error, zlib.error, IndexError, MemoryError ...).
            logger.info("a picture could not be decoded: %r", error)
            raise UnprocessableImage("is truncated or corrupt") from error

    def _check_header(self, picture: PillowImage.Image) -> None:
        if max(picture.size) > self._max_side_px:
            raise self._too_large(picture.size)
        if picture.format in ("PNG", "WEBP") and getattr(picture, "is_animated", False):
            raise UnprocessableImage("is animated; send a single picture")

    def _too_large(self, size: tuple[int, int] | None = None) -> PayloadTooLarge:
        of = f" is {size[0]}x{size[1]} pixels," if size else " has too many pixels,"
        return PayloadTooLarge(
            f"the picture{of} at most {self._max_side_px} per side are allowed",
            details={"max_side_px": self._max_side_px},
        )


def _orientation(picture: PillowImage.Image) -> int:
    """EXIF orientation, 1 when there is none or the EXIF block is broken: the pixels are fine then."""
    try:
        value = picture.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:
        return 1
    return value if isinstance(value, int) and value in _ORIENTATIONS else 1


def _oriented(picture: PillowImage.Image, orientation: int) -> PillowImage.Image:
    method = _ORIENTATIONS.get(orientation)
    return picture if method is None else picture.transpose(method)


def _eight_bit(picture: PillowImage.Image) -> PillowImage.Image:
    """16-bit grey to its high byte (Pillow's own conversion would clip); other modes as they are."""
    if picture.mode not in _SIXTEEN_BIT:
        return picture
    wide = np.asarray(picture).astype(np.int64)
    narrow = PillowImage.fromarray((np.clip(wide, 0, 65535) >> 8).astype(np.uint8))
    if "icc_profile" in picture.info:
        narrow.info["icc_profile"] = picture.info["icc_profile"]
    return narrow


def _over_white(picture: PillowImage.Image) -> PillowImage.Image:
    if picture.mode != "RGBA":
        return in_mode(picture, "RGB")
    white = PillowImage.new("RGB", picture.size, (255, 255, 255))
    white.paste(picture.convert("RGB"), mask=picture.getchannel("A"))
    return white


def _over_black(picture: PillowImage.Image) -> PillowImage.Image:
    """Grey values with transparent parts black: strokes painted on a transparent layer are a usual mask."""
    if not picture.has_transparency_data:
        return in_mode(picture, "L")
    layered = picture.convert("RGBA")
    black = PillowImage.new("L", picture.size, 0)
    black.paste(layered.convert("L"), mask=layered.getchannel("A"))
    return black
