"""Images in and out: bytes, files, URLs, Pillow's images and NumPy's arrays here, the wire's text there."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from composition_client.errors import NotAnImage

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    Pixels: TypeAlias = np.ndarray[Any, np.dtype[Any]]
    ImageLike: TypeAlias = bytes | str | os.PathLike[str] | Image.Image | Pixels
else:
    ImageLike = Any

SENT_AS_THEY_ARE = ("http://", "https://", "data:")
SUFFIXES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
"""Of files that the service reads and writes: the `output_format` of each."""


def to_bytes_or_url(image: ImageLike) -> bytes | str:
    """An image as a file's bytes, or a URL as it stands.

    Args:
        image: the bytes of a JPEG, PNG or WebP file; a path of one, as text or Path; an http(s) or data URL; a Pillow
            image of any mode; or an array, uint8 (H, W), (H, W, 3) RGB or (H, W, 4) RGBA, or bool (H, W) for a mask,
            True = repaint. Pillow's images and arrays are sent as PNG and need Pillow.

    Raises:
        NotAnImage: a file that cannot be read, or anything else.
    """
    if isinstance(image, str) and image.lower().startswith(SENT_AS_THEY_ARE):
        return image
    return _file_of(image)


def to_base64(image: bytes | str) -> str:
    """As JSON has it."""
    return image if isinstance(image, str) else base64.b64encode(image).decode("ascii")


def _file_of(image: Any) -> bytes:
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, str | os.PathLike):
        try:
            return Path(image).read_bytes()
        except OSError as error:
            raise NotAnImage(f"{os.fspath(image)}: {error.strerror or error}") from error
    if hasattr(image, "__array_interface__") and not hasattr(image, "save"):
        image = _from_array(image)
    if not hasattr(image, "save"):
        raise NotAnImage(f"an image is bytes, a path, a URL, a Pillow image or an array, not {type(image).__name__}")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _from_array(array: Any) -> Image.Image:
    from PIL import Image

    if array.dtype == bool and array.ndim == 2:
        array = array.astype("uint8") * 255
    if str(array.dtype) != "uint8" or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,), (4,)):
        raise NotAnImage(
            f"an array must be uint8 (H, W), (H, W, 3) or (H, W, 4), or bool (H, W), not {array.dtype} {array.shape}"
        )
    return Image.fromarray(array)


def to_pillow(data: bytes) -> Image.Image:
    """A file's bytes as a Pillow image, loaded. Needs Pillow."""
    from PIL import Image

    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def to_array(data: bytes) -> Pixels:
    """A file's bytes as uint8: (H, W, 3) RGB, or (H, W) of a greyscale file. Needs NumPy and Pillow."""
    import numpy as np

    return np.asarray(to_pillow(data))


def kind_of(data: bytes) -> str:
    """The `output_format` of an image file's bytes, by how they begin."""
    if data.startswith(b"\xff\xd8"):
        return "jpeg"
    return "webp" if data[8:12] == b"WEBP" else "png"


def suffix_of_clip(data: bytes) -> str:
    """Of a file of a clip, or of a zip of its frames, by how it begins."""
    if data[4:8] == b"ftyp":
        return ".mp4"
    starts = {b"GIF8": ".gif", b"RIFF": ".webp", b"\x1aE\xdf\xa3": ".webm", b"PK\x03\x04": ".zip"}
    return starts.get(data[:4], ".bin")


def overlaid(photo: ImageLike, mask: bytes) -> bytes:
    """A PNG of the photo, half red where the mask is white. Needs Pillow."""
    from PIL import Image, ImageOps

    base = ImageOps.exif_transpose(to_pillow(_file_of(photo))).convert("RGB")
    weight = to_pillow(mask).convert("L").resize(base.size).point(lambda value: value // 2)
    buffer = io.BytesIO()
    Image.composite(Image.new("RGB", base.size, (255, 0, 0)), base, weight).save(buffer, "PNG")
    return buffer.getvalue()
