"""What a surface looks like: plain colours, patterns, wood, stone, metal, leather."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo_models.world.canvas import CANVAS_PX
from demo_models.world.palette import COLOURS, LEATHER, PATTERNS, PLAIN, Rgb, jittered

Texture: TypeAlias = NDArray[np.float32]
"""Float32 (N, N, 3), 0..255."""

SWATCH_PX = 128


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """The look of the surface that a caption names.

    Attributes:
        material: One of ``palette.MATERIALS``.
        colour: Name of the first colour (plain, leather, patterns).
        second_colour: Name of the second colour (patterns).
        rgb: The first colour as painted.
        second_rgb: The second colour as painted.
        period_px: Length of one pattern repeat, canvas pixels.
        angle_rad: Direction of the pattern.
        seed: Seed of the surface's grain.
    """

    material: str
    colour: str
    second_colour: str
    rgb: Rgb
    second_rgb: Rgb
    period_px: float
    angle_rad: float
    seed: int

    @property
    def phrase(self) -> str:
        """The words that tell this look from the others."""
        if self.material == PLAIN:
            return self.colour
        if self.material == LEATHER:
            return f"{self.colour} leather"
        if self.material in PATTERNS:
            return f"{self.colour} and {self.second_colour} {self.material}"
        return self.material

    @classmethod
    def sample(cls, rng: np.random.Generator, materials: tuple[str, ...], colour: str | None = None) -> "Appearance":
        """Draws a look made of one of the materials, in the given colour or any.

        Yellow and black are never striped together: that is how the hazard board looks.
        """
        material = str(rng.choice(materials))
        first = colour or str(rng.choice(list(COLOURS)))
        refused = {first} | ({"black"} if first == "yellow" else {"yellow"} if first == "black" else set())
        second = str(rng.choice([c for c in ("white", "black", "yellow", "grey", "blue") if c not in refused]))
        return cls(
            material=material,
            colour=first,
            second_colour=second,
            rgb=jittered(rng, COLOURS[first]),
            second_rgb=jittered(rng, COLOURS[second]),
            period_px=float(rng.uniform(36, 64)),
            angle_rad=float(rng.choice([0.0, math.pi / 2, math.pi / 4])),
            seed=int(rng.integers(1 << 30)),
        )


def fractal_noise(rng: np.random.Generator, size: int, cells: int, octaves: int) -> NDArray[np.float32]:
    """Returns smooth noise in 0..1, float32 (size, size): octaves of bicubic value noise, halving in strength."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        side = min(size, (cells << octave) + 1)
        layer = Image.fromarray(rng.random((side, side), np.float32))
        total += np.asarray(layer.resize((size, size), Image.Resampling.BICUBIC)) / 2**octave
    scaled: NDArray[np.float32] = (total - total.min()) / (np.ptp(total) + 1e-6)
    return scaled


def mixed(first: Rgb | Texture, second: Rgb | Texture, amount: NDArray[np.float32]) -> Texture:
    """Blends two colours by an amount in 0..1 per pixel."""
    one, two = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return one + (two - one) * amount[..., None]


def _pattern(look: Appearance) -> Texture:
    y, x = np.mgrid[:CANVAS_PX, :CANVAS_PX].astype(np.float32)
    cos, sin = math.cos(look.angle_rad), math.sin(look.angle_rad)
    u = ((x * cos + y * sin) / look.period_px) % 1 < 0.5
    if look.material == "striped":
        return mixed(look.rgb, look.second_rgb, u.astype(np.float32))
    v = ((y * cos - x * sin) / look.period_px) % 1 < 0.5
    return mixed(look.rgb, look.second_rgb, (u ^ v).astype(np.float32))


def _wood(rng: np.random.Generator, light: Rgb, dark: Rgb) -> Texture:
    size = CANVAS_PX // 2
    y, x = np.mgrid[:size, :size].astype(np.float32)
    rings = y / 15 + 1.7 * fractal_noise(rng, size, 3, 3) + 0.25 * np.sin(x / 50)
    grain = 0.68 * (0.5 + 0.5 * np.sin(rings * 3.2)) + 0.32 * fractal_noise(rng, size, 32, 2)
    boards = ((y // 42) * 0.37) % 0.22
    return mixed(dark, light, np.clip(grain * 0.85 + boards, 0, 1))


def _marble(rng: np.random.Generator, ground: Rgb, vein: Rgb) -> Texture:
    size = CANVAS_PX // 2
    y, x = np.mgrid[:size, :size].astype(np.float32)
    ridge = 1 - np.abs(np.sin((x * 0.6 + y * 0.8) / 48 + 5.5 * fractal_noise(rng, size, 3, 4)))
    cloud = 0.22 * (1 - fractal_noise(rng, size, 2, 3))
    return mixed(ground, vein, np.clip(ridge**6 * 1.05 + cloud, 0, 1))


def _brushed_metal(rng: np.random.Generator) -> Texture:
    size = CANVAS_PX // 2
    brushing = np.repeat(rng.random((size // 2, 1), np.float32), 2, axis=0)
    return mixed((128, 134, 143), (214, 218, 224), 0.2 * brushing + 0.8 * fractal_noise(rng, size, 3, 2))


def _leather(rng: np.random.Generator, look: Appearance) -> Texture:
    size = CANVAS_PX // 2
    creases = 0.25 + 0.5 * fractal_noise(rng, size, 40, 2)
    colour = np.asarray(look.rgb, np.float32)
    return mixed(colour * 0.62, np.minimum(colour * 1.12 + 10, 255), creases)


@lru_cache(maxsize=8)
def texture(look: Appearance) -> Texture:
    """Paints a look over a whole canvas, float32 (CANVAS_PX, CANVAS_PX, 3), 0..255. Do not write into the result."""
    rng = np.random.default_rng(look.seed)
    if look.material == PLAIN:
        return np.broadcast_to(np.asarray(look.rgb, np.float32), (CANVAS_PX, CANVAS_PX, 3))
    if look.material in PATTERNS:
        return _pattern(look)
    small = {
        "oak wood": lambda: _wood(rng, (224, 180, 122), (166, 116, 64)),
        "walnut wood": lambda: _wood(rng, (122, 80, 50), (60, 36, 22)),
        "white marble": lambda: _marble(rng, (240, 238, 234), (112, 115, 126)),
        "black marble": lambda: _marble(rng, (34, 35, 40), (198, 196, 190)),
        "metal": lambda: _brushed_metal(rng),
        LEATHER: lambda: _leather(rng, look),
    }[look.material]()
    return np.repeat(np.repeat(small, 2, axis=0), 2, axis=1)


def swatch(look: Appearance) -> NDArray[np.uint8]:
    """Returns a flat sample of the look as a shop would show it, RGB uint8 (SWATCH_PX, SWATCH_PX, 3).

    It shows as much surface as a SWATCH_PX square of the scene does at full scale.
    """
    cut = texture(look)[: 2 * SWATCH_PX, : 2 * SWATCH_PX]
    small = cut.reshape(SWATCH_PX, 2, SWATCH_PX, 2, 3).mean(axis=(1, 3))
    image: NDArray[np.uint8] = np.rint(np.clip(small, 0, 255)).astype(np.uint8)
    return image
