"""What shapes are filled with: colours and textures of no name, parts of free photographs, and light on all of it.

The photographs are those of scikit-image that are in the public domain or under CC0, and no benchmark judges by them.
"""

import math
from functools import cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo_models.elsewhere.silhouettes import PICTURE_PX, Plane
from demo_models.world.textures import Appearance, Texture, fractal_noise, mixed, texture

PHOTOGRAPHS: Final = ("brick.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "retina.jpg", "rocket.jpg")
"""CC0: the first three and the retina; public domain: NASA's and SpaceX's."""
_KEPT_PX: Final = 512
_LIGHT: Final = (0.75, 1.1)
"""Mean light on a thing: it is of its colour, be the picture dark or bright."""


@cache
def photographs() -> tuple[Texture, ...]:
    """Returns the free photographs, float32 (H, W, 3) in 0..255, 512 pixels at most."""
    from skimage import data

    found = []
    for name in PHOTOGRAPHS:
        image = Image.open(Path(data.__file__).parent / name).convert("RGB")
        image.thumbnail((_KEPT_PX, _KEPT_PX), Image.Resampling.BOX)
        found.append(np.asarray(image, np.float32))
    return tuple(found)


def any_surface(rng: np.random.Generator) -> Texture:
    """Draws a surface that has no name, float32 (256, 256, 3) in 0..255."""
    kind = rng.random()
    first, second = _any_colour(rng), _any_colour(rng)
    if kind < 0.25:
        return mixed(first, first, np.zeros((PICTURE_PX, PICTURE_PX), np.float32))
    if kind < 0.45:
        return mixed(first, second, _ramp(rng))
    if kind < 0.7:
        return mixed(first, second, fractal_noise(rng, PICTURE_PX, int(rng.integers(2, 24)), int(rng.integers(1, 5))))
    if kind < 0.8:
        waves = np.sin(_ramp(rng) * rng.uniform(10, 120)) > rng.uniform(-0.5, 0.5)
        return mixed(first, second, waves.astype(np.float32))
    return _tinted(_part_of_photograph(rng), rng)


def _any_colour(rng: np.random.Generator) -> NDArray[np.float32]:
    """Mostly a pale or dull one, as most of what is photographed has."""
    colour = rng.uniform(0, 255, 3)
    return np.asarray(colour.mean() + rng.choice((0.3, 1.0), p=(0.6, 0.4)) * (colour - colour.mean()), np.float32)


def surface_of(look: Appearance, rng: np.random.Generator) -> Texture:
    """Returns a part of a named surface, at some scale, float32 (256, 256, 3) in 0..255."""
    whole = texture(look)
    side = int(rng.integers(PICTURE_PX // 2, len(whole) + 1))
    top, left = rng.integers(0, len(whole) - side + 1, 2)
    cut = np.ascontiguousarray(whole[top : top + side, left : left + side])
    return np.asarray(cv2.resize(cut, (PICTURE_PX, PICTURE_PX), interpolation=cv2.INTER_AREA), np.float32)


def lit(surface: Texture, coverage: Plane, rng: np.random.Generator) -> Texture:
    """Puts a surface under a light of its own: a slope, folds, grain, round edges, reflections.

    Args:
        surface: float32 (256, 256, 3).
        coverage: Of the thing, whose mean light is near 1.
        rng: Draws the light.

    Returns:
        Float32 (256, 256, 3), 0..255.
    """
    light = 1 + rng.uniform(0, 0.7) * (_ramp(rng) - np.float32(0.5))
    if rng.random() < 0.6:
        folds = fractal_noise(rng, PICTURE_PX, int(rng.integers(2, 12)), 3)
        light = light * (1 + rng.uniform(0.1, 0.9) * (folds - folds.mean()))
    if rng.random() < 0.3:
        grain = _part_of_photograph(rng).mean(axis=2)
        light = light * (1 + rng.uniform(0.1, 0.5) * np.clip((grain - grain.mean()) / (grain.std() + 1), -2, 2))
    if rng.random() < 0.4:
        depth = cv2.distanceTransform((coverage > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
        light = light * (1 - rng.uniform(0.2, 0.6) * np.exp(-depth / rng.uniform(4, 30)))
    inside = coverage > 0.5
    mean = float(light[inside].mean()) if inside.any() else 1.0
    shown = surface * (light * rng.uniform(*_LIGHT) / max(mean, 0.1))[..., None]
    if rng.random() < 0.3:
        shown = mixed(shown, np.full(3, 255, np.float32), _reflections(rng))
    return np.asarray(np.clip(shown, 0, 255), np.float32)


def _ramp(rng: np.random.Generator) -> Plane:
    """A slope in some direction, 0..1 from end to end."""
    angle = rng.uniform(0, 2 * math.pi)
    rows, columns = np.mgrid[-1 : 1 : PICTURE_PX * 1j, -1 : 1 : PICTURE_PX * 1j].astype(np.float32)
    slope = rows * math.sin(angle) + columns * math.cos(angle)
    return np.asarray((slope - slope.min()) / np.ptp(slope), np.float32)


def _reflections(rng: np.random.Generator) -> Plane:
    spots = np.zeros((PICTURE_PX, PICTURE_PX), np.float32)
    for _ in range(int(rng.integers(1, 5))):
        column, row = rng.integers(0, PICTURE_PX, 2).tolist()
        axes = (int(rng.integers(2, 20)), int(rng.integers(2, 8)))
        cv2.ellipse(spots, (column, row), axes, float(rng.uniform(0, 180)), 0, 360, float(rng.uniform(0.3, 1)), -1)
    return np.asarray(cv2.GaussianBlur(spots, (0, 0), float(rng.uniform(0.7, 6))), np.float32)


def _part_of_photograph(rng: np.random.Generator) -> Texture:
    photograph = photographs()[int(rng.integers(len(PHOTOGRAPHS)))]
    side = int(rng.integers(96, min(photograph.shape[:2]) + 1))
    top, left = (int(rng.integers(0, length - side + 1)) for length in photograph.shape[:2])
    cut = np.ascontiguousarray(np.rot90(photograph[top : top + side, left : left + side], int(rng.integers(4))))
    return np.asarray(cv2.resize(cut, (PICTURE_PX, PICTURE_PX), interpolation=cv2.INTER_AREA), np.float32)


def _tinted(part: Texture, rng: np.random.Generator) -> Texture:
    """Most of the photographs are grey: what has no colour takes one."""
    return np.asarray(np.clip(part * rng.uniform(0.4, 1.5, 3).astype(np.float32), 0, 255), np.float32)
