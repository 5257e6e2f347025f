"""Tables, chairs and sofas: textured boxes with a depth buffer, seen by the room's camera."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from demo_models.world.canvas import CANVAS_PX, Canvas, Stencil
from demo_models.world.ground import DEPTH_PER_INVERSE_METRE, Camera, Floats, Ground
from demo_models.world.palette import FURNITURE, LEATHER, PATTERNS, PLAIN, SURFACES
from demo_models.world.textures import Appearance, texture

SURFACE, LEGS = 1, 2
_LIGHT: Final = np.array([-0.35, 0.85, -0.45]) / np.linalg.norm([-0.35, 0.85, -0.45])
_TEXELS_PER_METRE: Final = 230
_SIZES_M: Final[Mapping[str, tuple[tuple[float, float], ...]]] = {
    "table": ((1.1, 1.6), (0.62, 0.8), (0.65, 0.9)),
    "chair": ((0.52, 0.64), (0.98, 1.15), (0.52, 0.6)),
    "sofa": ((1.4, 1.9), (0.78, 0.92), (0.78, 0.92)),
}
_DISTANCE_M: Final[Mapping[str, float]] = {"table": 2.45, "chair": 2.05, "sofa": 2.75}
_COVERINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "table": (*SURFACES, PLAIN),
    "chair": ("oak wood", "walnut wood", "metal", PLAIN, LEATHER, *PATTERNS),
    "sofa": (PLAIN, PLAIN, LEATHER, *PATTERNS),
}


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box in the furniture's own axes, metres: near lower left corner, size, and whether it is a leg."""

    corner: tuple[float, float, float]
    size: tuple[float, float, float]
    is_leg: bool = False


@dataclass(frozen=True, kw_only=True)
class Furniture:
    """A piece of furniture standing at the origin of the room.

    Attributes:
        kind: table, chair or sofa.
        appearance: The surface that a caption names.
        leg_appearance: The legs.
        size_m: Width, height, depth.
        yaw_rad: Turn about the vertical.
        shift_m: Sideways.
        camera: The room's camera.
    """

    FAMILY: ClassVar[str] = "furniture"
    NAMED_PARTS: ClassVar[tuple[int, ...]] = (SURFACE,)

    kind: str
    appearance: Appearance
    leg_appearance: Appearance
    size_m: tuple[float, float, float]
    yaw_rad: float
    shift_m: float
    camera: Camera

    @classmethod
    def sample(cls, rng: np.random.Generator, kind: str | None = None) -> "Furniture":
        """Draws a piece of furniture of the given kind or any."""
        kind = kind or str(rng.choice(FURNITURE))
        width, height, depth = (float(rng.uniform(*span)) for span in _SIZES_M[kind])
        return cls(
            kind=kind,
            appearance=Appearance.sample(rng, _COVERINGS[kind]),
            leg_appearance=Appearance.sample(rng, ("oak wood", "walnut wood", "metal")),
            size_m=(width, height, depth),
            yaw_rad=float(rng.uniform(-0.6, 0.6)),
            shift_m=float(rng.uniform(-0.2, 0.2)),
            camera=Camera(distance_m=_DISTANCE_M[kind] + float(rng.uniform(-0.1, 0.4))),
        )

    @property
    def noun(self) -> str:
        """What the piece is called."""
        return self.kind

    @property
    def LABELS(self) -> Mapping[str, tuple[int, ...]]:  # noqa: N802 - the same name as the other families' constant
        """The nouns to be found in the image and the parts that they cover."""
        return {self.kind: (SURFACE, LEGS)}

    def draw(self, canvas: Canvas, ground: Ground) -> None:
        """Paints the piece; the camera, not the ground, decides where."""
        del ground
        width, _, depth = self.size_m
        corners = [(x * width * 0.55, 0.0, z * depth * 0.55) for x, z in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        footprint = Stencil.polygon(self.camera.project(self._placed(np.array(corners)))[:, :2])
        canvas.shadow(footprint, 0.62 if self.kind == "sofa" else 0.42, 10)
        nearest = np.zeros((CANVAS_PX, CANVAS_PX), np.float32)
        for box in _boxes(self.kind, self.size_m):
            for axis in range(3):
                for side in (0, 1):
                    self._draw_face(canvas, nearest, box, axis, side)

    def _placed(self, points: Floats) -> Floats:
        cos, sin = math.cos(self.yaw_rad), math.sin(self.yaw_rad)
        x, y, z = points.T
        return np.stack([x * cos + z * sin + self.shift_m, y, z * cos - x * sin], axis=1)

    def _draw_face(self, canvas: Canvas, nearest: NDArray[np.float32], box: Box, axis: int, side: int) -> None:
        first, second = (i for i in range(3) if i != axis)
        corners = np.tile(np.asarray(box.corner), (4, 1))
        corners[:, axis] += box.size[axis] * side
        corners[[1, 2], first] += box.size[first]
        corners[[2, 3], second] += box.size[second]
        placed = self._placed(corners)
        normal = np.zeros((1, 3))
        normal[0, axis] = 2 * side - 1
        facing = (self._placed(normal) - self._placed(np.zeros((1, 3))))[0]
        eye = np.array([0.0, self.camera.height_m, -self.camera.distance_m])
        if facing @ (eye - placed.mean(0)) <= 0:
            return
        seen = self.camera.project(placed)
        light = 0.52 + 0.56 * max(0.0, float(facing @ _LIGHT))
        texels = np.array([[0, 0], [box.size[first], 0], [box.size[first], box.size[second]], [0, box.size[second]]])
        texels = texels * _TEXELS_PER_METRE + (abs(box.corner[0]) * 97 + axis * 31, abs(box.corner[1]) * 83)
        look = self.leg_appearance if box.is_leg else self.appearance
        _paint_face(canvas, nearest, seen, texels, look, light, LEGS if box.is_leg else SURFACE)


def _paint_face(
    canvas: Canvas,
    nearest: NDArray[np.float32],
    seen: Floats,
    texels: Floats,
    look: Appearance,
    light: float,
    part: int,
) -> None:
    """Paints one textured quadrilateral where it is nearer than what has been painted so far.

    1/z and texture coordinates over z are affine in screen coordinates, so three corners decide them.
    """
    stencil = Stencil.polygon(seen[:, :2])
    plane = np.c_[seen[:3, :2], np.ones(3)]
    if abs(np.linalg.det(plane)) < 1:
        return
    inverse = 1 / seen[:3, 2]
    slopes = np.linalg.solve(plane, np.c_[inverse, texels[:3] * inverse[:, None]])
    rows, columns = stencil.window
    y, x = np.mgrid[rows, columns].astype(np.float32)
    inverse_z, u, v = (a * x + b * y + c for a, b, c in slopes.T.astype(np.float32))
    inverse_z = np.maximum(inverse_z, 1e-3)
    visible = inverse_z > nearest[rows, columns]
    alpha = stencil.alpha * visible
    solid = alpha > 0.5
    nearest[rows, columns][solid] = inverse_z[solid]
    sheet = texture(look)
    ink = sheet[(v / inverse_z).astype(int) % CANVAS_PX, (u / inverse_z).astype(int) % CANVAS_PX]
    down = np.linspace(1.04, 0.9, alpha.shape[0], dtype=np.float32)[:, None]
    source = np.clip(ink * (light * down)[..., None], 0, 255)
    under = canvas.rgb[rows, columns]
    under += (source - under) * alpha[..., None]
    canvas.parts[rows, columns][solid] = part
    canvas.depth[rows, columns][solid] = np.clip(inverse_z * DEPTH_PER_INVERSE_METRE, 0, 255)[solid]


def _boxes(kind: str, size_m: tuple[float, float, float]) -> list[Box]:
    return {"table": _table, "chair": _chair, "sofa": _sofa}[kind](*size_m)


def _legs(height: float, width: float, depth: float, thickness: float) -> list[Box]:
    return [
        Box(
            corner=(x * (width / 2 - thickness) - thickness / 2, 0, z * (depth / 2 - thickness) - thickness / 2),
            size=(thickness, height, thickness),
            is_leg=True,
        )
        for z in (1, -1)
        for x in (-1, 1)
    ]


def _table(width: float, height: float, depth: float) -> list[Box]:
    top, apron = 0.06, 0.05
    return [
        *_legs(height - top, width, depth, 0.065),
        Box(
            corner=(-width / 2 + 0.07, height - top - apron, -depth / 2 + 0.07),
            size=(width - 0.14, apron, depth - 0.14),
        ),
        Box(corner=(-width / 2, height - top, -depth / 2), size=(width, top, depth)),
    ]


def _chair(width: float, height: float, depth: float) -> list[Box]:
    seat = height * 0.46
    return [
        *_legs(seat, width, depth, 0.055),
        Box(corner=(-width / 2, seat, depth / 2 - 0.06), size=(width, height - seat, 0.06)),
        Box(corner=(-width / 2, seat, -depth / 2), size=(width, 0.08, depth)),
    ]


def _sofa(width: float, height: float, depth: float) -> list[Box]:
    arm, foot, seat = 0.17, 0.08, 0.36
    half = width / 2 - arm
    return [
        *_legs(foot, width - 0.1, depth - 0.1, 0.06),
        Box(corner=(-width / 2, foot, -depth / 2), size=(width, seat - foot, depth)),
        Box(corner=(-width / 2, seat, depth / 2 - 0.2), size=(width, height - seat, 0.2)),
        Box(corner=(-half, seat, -depth / 2 - 0.015), size=(half - 0.008, 0.11, depth - 0.2)),
        Box(corner=(0.008, seat, -depth / 2 - 0.015), size=(half - 0.008, 0.11, depth - 0.2)),
        Box(corner=(-width / 2, seat, -depth / 2), size=(arm, 0.22, depth - 0.02)),
        Box(corner=(width / 2 - arm, seat, -depth / 2), size=(arm, 0.22, depth - 0.02)),
    ]
