"""Colour management inside decode: an embedded ICC profile is converted to sRGB, whatever the mode.

An image without a profile, or with one that is broken or does not fit its mode, counts as sRGB.
"""

from __future__ import annotations

import io
import logging
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageCms

from api.planes import in_mode

logger = logging.getLogger(__name__)

_MODE_OF_COLOR_SPACE = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_ROUNDING = 1
"""Of 255: what tables, curve types and the order of the arithmetic make two descriptions of one colour space differ."""


def to_srgb(image: PillowImage.Image, profile: bytes | None) -> PillowImage.Image:
    """Colour planes (L, RGB or CMYK), described by their embedded ICC profile, as RGB in sRGB.

    The very pixels where the profile describes sRGB, since 8-bit rounding would change them.
    """
    if profile is None:
        return in_mode(image, "RGB")
    try:
        if image.mode != "CMYK" and _describes_srgb(profile, image.mode):
            return in_mode(image, "RGB")
        transform = _transform(profile, image.mode)
        if image.mode == "L":
            return PillowImage.fromarray(_shown(_probe("L"), transform)[0][np.asarray(image)])
        converted = ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        logger.info("an embedded colour profile was ignored: %s", error)
        return in_mode(image, "RGB")
    assert converted is not None
    return converted


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    """Raises: what lcms raises, and ValueError for a profile of another kind of image."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if _MODE_OF_COLOR_SPACE.get(source.profile.xcolor_space) != mode:
        raise ValueError(f"it is for {source.profile.xcolor_space} and the image is {mode}")
    return ImageCms.buildTransform(
        source,
        _srgb(),
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        # Optimised, a steep curve of grey is read from 33 points: off by 10 of 255 in the dark.
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION | (ImageCms.Flags.NOOPTIMIZE if mode == "L" else 0),
    )


def _shown(image: PillowImage.Image, transform: ImageCms.ImageCmsTransform) -> npt.NDArray[np.uint8]:
    """(H, W, 3)."""
    shown = ImageCms.applyTransform(image, transform)
    assert shown is not None
    return np.asarray(shown)


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@lru_cache(maxsize=8)
def _describes_srgb(profile: bytes, mode: str) -> bool:
    """Judged by what a profile does to colours, since its name says anything. Kept: it takes some 5 ms."""
    probe = _probe(mode)
    difference = _shown(probe, _transform(profile, mode)).astype(np.int16) - np.asarray(in_mode(probe, "RGB"))
    return int(np.abs(difference).max()) <= _ROUNDING


@lru_cache(maxsize=2)
def _probe(mode: str) -> PillowImage.Image:
    """Colours all over the cube, and every value of grey."""
    ramp = np.arange(256, dtype=np.uint8)
    if mode == "L":
        return PillowImage.fromarray(ramp[None])
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    return PillowImage.fromarray(np.concatenate([cube, np.repeat(ramp[:, None], 3, axis=1)])[None])
