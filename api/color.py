"""Colour management inside decode: an embedded ICC profile is converted to sRGB, whatever the mode.

A picture without a profile, or with one that is broken or does not fit its mode, counts as sRGB.
"""

from __future__ import annotations

import io
import logging
from functools import lru_cache

from PIL import Image as PillowImage
from PIL import ImageCms

logger = logging.getLogger(__name__)

MAX_PROFILE_BYTES = 4 * 1024 * 1024
"""Real profiles have some kilobytes, printers' up to two megabytes; a larger one is ignored."""

_MODE_OF_COLOR_SPACE = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def to_srgb(picture: PillowImage.Image) -> PillowImage.Image:
    """Convert a decoded 8-bit picture to sRGB.

    Args:
        picture: any 8-bit mode that Pillow decodes JPEG, PNG and WebP to.

    Returns:
        RGB, or RGBA when the picture has transparency (the alpha channel is untouched).
    """
    profile = picture.info.get("icc_profile")
    if not picture.has_transparency_data:
        return _converted(_opaque(picture), profile)
    layered = picture.convert("RGBA")
    # A palette with transparency loses it with a warning unless it goes through RGBA.
    color = _converted(_opaque(layered if picture.mode == "P" else picture), profile)
    color.putalpha(layered.getchannel("A"))
    return color


def in_mode(picture: PillowImage.Image, mode: str) -> PillowImage.Image:
    """The picture itself when it has the mode: Pillow's own `convert` would copy it, 20 ms at 2048 x 2048 pixels."""
    return picture if picture.mode == mode else picture.convert(mode)


def _opaque(picture: PillowImage.Image) -> PillowImage.Image:
    """The colour channels alone, in the mode that a profile speaks about: L, CMYK or RGB."""
    if picture.mode in ("1", "L", "LA", "La"):
        return in_mode(picture, "L")
    return picture if picture.mode == "CMYK" else in_mode(picture, "RGB")


def _converted(picture: PillowImage.Image, profile: object) -> PillowImage.Image:
    if not isinstance(profile, bytes) or not 0 < len(profile) <= MAX_PROFILE_BYTES:
        return in_mode(picture, "RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _MODE_OF_COLOR_SPACE.get(source.profile.xcolor_space) != picture.mode or _is_srgb(source):
            return in_mode(picture, "RGB")
        converted = ImageCms.profileToProfile(
            picture,
            source,
            _srgb(),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        logger.info("an embedded colour profile was ignored: %s", error)
        return in_mode(picture, "RGB")
    assert converted is not None
    return converted


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    """By its name: the usual sRGB profiles need no conversion, and 8-bit rounding would change exact pixels."""
    return (profile.profile.profile_description or "").strip().lower().startswith("srgb")
