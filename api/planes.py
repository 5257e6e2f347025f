"""A decoded image of any mode as 8-bit colour and alpha planes: decode -> **planes** -> sRGB -> over white."""

from __future__ import annotations

import io
from typing import cast

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageFile

from api.containers import Container

Planes = tuple[PillowImage.Image, PillowImage.Image | None]
"""Colour in a mode that a profile speaks about (L, RGB or CMYK), and alpha (L, 255 = opaque) or None."""

Samples = npt.NDArray[np.integer]

_SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def planes(image: PillowImage.Image, container: Container) -> Planes:
    """Take a loaded image apart, knowing what its file says; 16-bit samples are cut to their high byte."""
    alpha = _keyed_alpha(image, container) if container.key is not None else None
    if image.mode in _SIXTEEN_BIT:
        return PillowImage.fromarray((_samples(image) >> 8).astype(np.uint8)), alpha
    if image.mode == "P":
        if not image.has_transparency_data:
            return image.convert("RGB"), None
        # Its alpha values would be lost, with a warning, on the direct way.
        image = image.convert("RGBA")
    if image.mode in ("LA", "RGBA"):
        # 16-bit grey with alpha arrives as RGBA.
        color = image.getchannel(0) if container.grey else image.convert(image.mode[:-1])
        return color, image.getchannel("A")
    return in_mode(image, {"1": "L", "L": "L", "CMYK": "CMYK"}.get(image.mode, "RGB")), alpha


def mask_planes(image: PillowImage.Image, container: Container) -> Planes:
    """Like `planes`, but 16-bit grey values that all fit into 8 bits are kept: many programs store bytes so."""
    color, alpha = planes(image, container)
    if image.mode in _SIXTEEN_BIT and (samples := _samples(image)).max() < 256:
        color = PillowImage.fromarray(samples.astype(np.uint8))
    return color, alpha


def in_mode(image: PillowImage.Image, mode: str) -> PillowImage.Image:
    """The image itself when it has the mode: Pillow's own `convert` would copy it, 20 ms at 2048 x 2048 pixels."""
    return image if image.mode == mode else image.convert(mode)


def _keyed_alpha(image: PillowImage.Image, container: Container) -> PillowImage.Image:
    """0 where every sample equals the transparent colour's, at the file's own depth."""
    assert container.key is not None
    key = np.array(container.key)
    samples = _samples(image)
    if container.depth < 8:
        key = key * 255 // ((1 << container.depth) - 1)
    elif container.depth == 16 and image.mode == "RGB":
        samples = (samples << 8) | _low_bytes(container)
    same = samples == key[0] if len(key) == 1 else (samples == key).all(axis=-1)
    return PillowImage.fromarray(np.where(same, np.uint8(0), np.uint8(255)))


def _samples(image: PillowImage.Image) -> Samples:
    """Wide enough for 16 bits; of a one-bit image 0 and 255."""
    if image.mode == "1":
        image = image.convert("L")
    wide = np.asarray(image).astype(np.int32)
    return cast(Samples, np.clip(wide, 0, 65535))


def _low_bytes(container: Container) -> Samples:
    """Of 16-bit RGB, which the decoder cuts to the high bytes: read as if the bytes of a sample had changed places."""
    with PillowImage.open(io.BytesIO(container.pixels), formats=("PNG",)) as image:
        assert isinstance(image, ImageFile.ImageFile)
        image.tile = [tile._replace(args="RGB;16L") for tile in image.tile]
        return np.asarray(image).astype(np.int32)
