"""Wheels: tyres and the rims that a reference image can show."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo_models.world.canvas import CANVAS_PX, Canvas, Stencil, averaged
from demo_models.world.geometry import Points, point, polar
from demo_models.world.palette import RIM_COLOURS, RIM_STYLES, darker
from demo_models.world.shading import rounded_shade
from demo_models.world.textures import SWATCH_PX

RIM_SHARE = 0.76
"""Radius of the rim as a share of the wheel's."""


@dataclass(frozen=True, kw_only=True)
class Rim:
    """A rim design: its style and colour, both named in ``palette``, and how far it is turned."""

    style: str
    colour: str
    turn_rad: float

    @property
    def phrase(self) -> str:
        """The words that tell this rim from the others."""
        return f"{self.colour} {self.style} rims"

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Rim":
        """Draws a rim design."""
        return cls(
            style=str(rng.choice(RIM_STYLES)),
            colour=str(rng.choice(list(RIM_COLOURS))),
            turn_rad=float(rng.uniform(0, 2 * math.pi)),
        )


def draw_rim(canvas: Canvas, rim: Rim, centre: Points, radius: float, part: int) -> None:
    """Paints a rim face on."""
    metal = RIM_COLOURS[rim.colour]
    hollow = darker(metal, 0.30) if rim.colour != "black" else (18.0, 18.0, 20.0)
    disc = Stencil.ellipse(centre, radius, radius)
    canvas.paint(disc, metal, part=part, shade=rounded_shade(disc, radius * 0.25, 0.7))
    face = Stencil.ellipse(centre, radius * 0.88, radius * 0.88)
    canvas.paint(face, metal if rim.style == "disc" else hollow)
    spokes, width = {"five spoke": (5, 0.19), "ten spoke": (10, 0.085), "mesh": (16, 0.05), "disc": (0, 0.0)}[rim.style]
    for index in range(spokes):
        angle = rim.turn_rad + 2 * math.pi * index / spokes
        across = point(-math.sin(angle), math.cos(angle)) * radius
        hub, edge = polar(centre, radius * 0.12, angle), polar(centre, radius * 0.93, angle)
        root, tip = across * width * 1.25, across * width
        blade = np.stack([hub + root, edge + tip, edge - tip, hub - root])
        canvas.paint(Stencil.polygon(blade), darker(metal, 1.04 if math.sin(angle) < 0 else 0.86))
    if rim.style == "mesh":
        _ring(canvas, centre, radius * 0.58, radius * 0.09, metal)
    if rim.style == "disc":
        _ring(canvas, centre, radius * 0.60, radius * 0.07, darker(metal, 0.55))
        for index in range(8):
            hole = polar(centre, radius * 0.74, rim.turn_rad + math.pi * index / 4)
            canvas.paint(Stencil.ellipse(hole, radius * 0.07, radius * 0.07), darker(metal, 0.4))
    canvas.paint(Stencil.ellipse(centre, radius * 0.2, radius * 0.2), darker(metal, 0.92))
    canvas.paint(Stencil.ellipse(centre, radius * 0.09, radius * 0.09), darker(metal, 0.5))


def _ring(canvas: Canvas, centre: Points, radius: float, width: float, ink: tuple[float, float, float]) -> None:
    angles = np.linspace(0, 2 * math.pi, 49)
    loop = np.stack([centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles)], axis=1)
    canvas.line(loop, ink, max(2, round(width)))


def draw_wheel(canvas: Canvas, rim: Rim, centre: Points, radius: float, depth: float, parts: tuple[int, int]) -> None:
    """Paints a tyre and its rim; ``parts`` are the part numbers of the tyre and the rim."""
    tyre = Stencil.ellipse(centre, radius, radius)
    canvas.paint(tyre, (36, 36, 39), part=parts[0], depth=depth, shade=rounded_shade(tyre, radius * 0.18, 0.6, 1.5))
    draw_rim(canvas, rim, centre, radius * RIM_SHARE, parts[1])


def rim_reference(rim: Rim) -> NDArray[np.uint8]:
    """Returns the rim as a shop would show it, on light grey, RGB uint8 (SWATCH_PX, SWATCH_PX, 3)."""
    canvas = Canvas()
    canvas.rgb[:] = (226, 227, 230)
    middle = point(CANVAS_PX / 2, CANVAS_PX / 2)
    canvas.shadow(Stencil.ellipse(middle + point(0, CANVAS_PX * 0.4), CANVAS_PX * 0.34, CANVAS_PX * 0.03), 0.5, 12)
    draw_wheel(canvas, rim, middle, CANVAS_PX * 0.45, 0.0, (1, 2))
    scene = averaged(canvas.rgb)
    step = scene.shape[0] // SWATCH_PX
    small = scene.reshape(SWATCH_PX, step, SWATCH_PX, step, 3).mean(axis=(1, 3))
    image: NDArray[np.uint8] = np.rint(np.clip(small, 0, 255)).astype(np.uint8)
    return image
