"""Pictures of anything: shapes before shapes, one of them a thing that a prompt names and a mask hides.

After the "dead leaves" model of images (Matheron 1968; Lee, Mumford and Huang 2001, doi:10.1023/A:1011109015675):
shapes of all sizes that cover each other have the statistics of photographs, edges and all, and none of their content.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_models.elsewhere.silhouettes import PICTURE_PX, Plane, silhouette
from demo_models.elsewhere.surfaces import any_surface, lit, surface_of
from demo_models.elsewhere.things import Thing
from demo_models.world.textures import Texture

_LEAST_SEEN: Final = 0.015
"""Of the picture, that is seen of its thing."""
_FAR, _NEAR = 40, 220
"""Inverse depth of what is behind everything, and of what is before it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """One picture.

    Attributes:
        image: RGB uint8 (256, 256, 3).
        mask: What is to be repainted, bool (256, 256): the thing, roughly or exactly, its box, or a part of it.
        depth: Inverse depth uint8 (256, 256).
        thing: What the mask hides.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    depth: NDArray[np.uint8]
    thing: Thing


def thing_of(seed: int) -> Thing:
    """Returns what the picture of a seed is about, without drawing it."""
    return Thing.sample(np.random.default_rng([11, seed]))


def draw(seed: int) -> Picture:
    """Draws the picture of a seed; deterministic."""
    thing, rng = thing_of(seed), np.random.default_rng([12, seed])
    while True:
        picture = _drawn(thing, rng)
        if picture.mask.mean() >= _LEAST_SEEN:
            return picture


def _drawn(thing: Thing, rng: np.random.Generator) -> Picture:
    full = np.ones((PICTURE_PX, PICTURE_PX), np.float32)
    image = lit(any_surface(rng), full, rng)
    depth = np.full(full.shape, _FAR, np.float32) + 30 * np.linspace(0, 1, PICTURE_PX, dtype=np.float32)[:, None]
    behind, before = int(rng.integers(0, 12)), int(rng.choice(3, p=(0.6, 0.25, 0.15)))
    levels = np.sort(rng.uniform(_FAR + 20, _NEAR, behind + 1 + before))
    seen = np.zeros_like(full)
    for number, level in enumerate(levels):
        if number == behind:
            if rng.random() < 0.3:  # what is farther away is out of focus
                image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.8, 4))), np.float32)
            coverage = seen = silhouette(rng, 24, 130)
            surface = lit(surface_of(thing.look, rng), coverage, rng)
        else:
            coverage = silhouette(rng, 6, 60 if number > behind else 120)
            surface = lit(any_surface(rng), coverage, rng)
            seen = seen * (1 - coverage)
        image = _over(image, surface, coverage)
        depth = depth * (1 - coverage) + np.float32(level) * coverage
    return Picture(
        image=_photographed(image, rng),
        mask=_hidden(seen > 0.5, rng),
        depth=np.rint(depth).astype(np.uint8),
        thing=thing,
    )


def _over(ground: Texture, surface: Texture, coverage: Plane) -> Texture:
    return ground + coverage[..., None] * (surface - ground)


def _photographed(image: Texture, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A lens and a sensor of some quality."""
    if rng.random() < 0.3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.2))), np.float32)
    noise = rng.normal(0, 1, image.shape).astype(np.float32) * np.float32(rng.uniform(0, 6))
    return np.asarray(np.clip(np.rint(image + noise), 0, 255), np.uint8)


def _hidden(seen: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """What a mask may hide of what is seen of a thing: all of it and some pixels around, its box, a part of it."""
    kind = rng.random()
    if kind < 0.15 and seen.any():
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        box = np.zeros_like(seen)
        box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
        return box
    if kind < 0.3:
        return seen & (silhouette(rng, 20, 100) > 0.5)
    reach = 2 * int(rng.integers(0, 9)) + 1
    return np.asarray(cv2.dilate(seen.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0)
