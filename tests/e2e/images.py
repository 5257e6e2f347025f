"""Images of many sizes and formats, and what a correct decoder makes of them, computed apart from the service."""

from __future__ import annotations

import base64
import io

import numpy as np
import skimage.data
from PIL import Image, ImageOps


def photo(height, width):
    """A photograph of any size: the astronaut, stretched."""
    return Image.fromarray(skimage.data.astronaut()).resize((width, height), Image.Resampling.LANCZOS)


def encoded(image, kind):
    """`image` as bytes: png, jpeg, jpeg-rotated (EXIF orientation 6), webp, rgba (half transparent PNG)."""
    buffer = io.BytesIO()
    if kind == "png":
        image.save(buffer, "PNG")
    elif kind == "jpeg":
        image.save(buffer, "JPEG", quality=95)
    elif kind == "jpeg-rotated":
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(buffer, "JPEG", quality=95, exif=exif)
    elif kind == "webp":
        image.save(buffer, "WEBP", quality=95)
    elif kind == "rgba":
        alpha = Image.linear_gradient("L").resize(image.size)
        with_alpha = image.convert("RGBA")
        with_alpha.putalpha(alpha)
        with_alpha.save(buffer, "PNG")
    return buffer.getvalue()


def decoded(data):
    """The reference decoder: orientation applied, alpha over white, RGB."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode == "RGBA":
        pixels = np.asarray(image).astype(np.float64)
        alpha = pixels[..., 3:] / 255
        return np.rint(pixels[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return np.asarray(image.convert("RGB"))


def corner_mask(height, width):
    """A mask that leaves most of the image out: a disc in the lower right quarter."""
    y, x = np.mgrid[:height, :width]
    disc = (y - 0.7 * height) ** 2 + (x - 0.7 * width) ** 2 < (0.12 * min(height, width)) ** 2
    buffer = io.BytesIO()
    Image.fromarray(np.where(disc, 255, 0).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def b64(data):
    return base64.b64encode(data).decode()


def from_b64(text):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))
