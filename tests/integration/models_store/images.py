"""Photographs that scikit-image ships, and images with nothing in them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from skimage import data

Image = npt.NDArray[np.uint8]


def photographs() -> dict[str, Image]:
    return {
        "astronaut": data.astronaut(),
        "coffee": data.coffee(),
        "cat": data.chelsea(),
        "motorcycle": data.stereo_motorcycle()[0],
        "rocket": data.rocket(),
        "brick": np.stack([data.brick()] * 3, axis=2),
    }


def plain(*, red: int, green: int, blue: int, height: int = 333, width: int = 517) -> Image:
    image = np.empty((height, width, 3), dtype=np.uint8)
    image[:] = (red, green, blue)
    return image


PLAIN_IMAGES = {
    "white": plain(red=255, green=255, blue=255),
    "black": plain(red=0, green=0, blue=0),
    "orange, as the suit": plain(red=225, green=110, blue=70),
    "red, as the tank": plain(red=200, green=30, blue=40, height=256, width=1024),
    "grey": plain(red=77, green=77, blue=77, height=256, width=256),
}
