"""Cars, seen from the side."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final

import numpy as np

from demo_models.world.canvas import CANVAS_PX, Canvas, Stencil
from demo_models.world.geometry import Points, point, smooth_outline
from demo_models.world.ground import Ground
from demo_models.world.palette import PLAIN, Rgb, darker
from demo_models.world.shading import rounded_shade, row_shade
from demo_models.world.textures import Appearance, texture
from demo_models.world.wheels import Rim, draw_wheel

BODY, TYRE, RIM, GLASS, TRIM = 1, 2, 3, 4, 5
_WHEEL_AT: Final = (0.19, 0.805)
_PROFILES: Final = (
    (0.28, 0.41, 0.72, 0.86),
    (0.24, 0.37, 0.88, 0.955),
    (0.22, 0.33, 0.91, 0.965),
    (0.31, 0.47, 0.70, 0.84),
)
"""Bonnet end, roof start, roof end and boot start as shares of the length: saloon, hatchback, estate, coupe."""


@dataclass(frozen=True, kw_only=True)
class Car:
    """A car. Lengths in canvas pixels.

    Attributes:
        appearance: The paint.
        rim: The rims of both wheels.
        length_px: Bumper to bumper.
        height_ratio: Height of the roof over the length.
        left_px: Where the car begins.
        base_px: Row on which the tyres stand.
        profile: Bonnet end, roof start, roof end, boot start as shares of the length.
        facing_left: Whether the bonnet is on the left.
    """

    FAMILY: ClassVar[str] = "car"
    LABELS: ClassVar[Mapping[str, tuple[int, ...]]] = MappingProxyType(
        {"car": (BODY, TYRE, RIM, GLASS, TRIM), "wheels": (TYRE, RIM), "rims": (RIM,), "windows": (GLASS,)}
    )
    NAMED_PARTS: ClassVar[tuple[int, ...]] = (BODY,)

    appearance: Appearance
    rim: Rim
    length_px: float
    height_ratio: float
    left_px: float
    base_px: float
    profile: tuple[float, float, float, float]
    facing_left: bool

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Car":
        """Draws a car."""
        length = float(rng.uniform(350, 470))
        shape = _PROFILES[int(rng.integers(len(_PROFILES)))]
        bonnet, roof, end, boot = (share + float(rng.uniform(-0.012, 0.012)) for share in shape)
        return cls(
            appearance=Appearance.sample(rng, (PLAIN,)),
            rim=Rim.sample(rng),
            length_px=length,
            height_ratio=float(rng.uniform(0.33, 0.39)),
            left_px=float(rng.uniform(14, CANVAS_PX - 14 - length)),
            base_px=float(rng.uniform(365, 445)),
            profile=(bonnet, roof, end, boot),
            facing_left=bool(rng.random() < 0.5),
        )

    @property
    def noun(self) -> str:
        """What the car is called."""
        return "car"

    def _at(self, *shares: tuple[float, float]) -> Points:
        """Places points given as shares of length (from the bonnet) and of height (from the ground)."""
        along = np.array([x for x, _ in shares])
        along = along if self.facing_left else 1 - along
        up = np.array([y for _, y in shares]) * self.height_ratio
        return np.stack([self.left_px + self.length_px * along, self.base_px - self.length_px * up], axis=1)

    def draw(self, canvas: Canvas, ground: Ground) -> None:
        """Paints the car."""
        depth = ground.depth_at(self.base_px)
        middle = self._at((0.5, 0.0))[0]
        under = Stencil.ellipse(middle + point(0, 1), 0.52 * self.length_px, 0.035 * self.length_px)
        canvas.shadow(under, 0.85, 0.02 * self.length_px)
        body = self._draw_body(canvas, depth)
        self._draw_windows(canvas, body)
        self._draw_details(canvas, body)
        radius = 0.098 * self.length_px
        for share in _WHEEL_AT:
            centre = self._at((share, 0.0))[0] - point(0, radius)
            arch = Stencil.ellipse(centre, radius * 1.17, radius * 1.17).within(body)
            canvas.paint(arch, (22, 22, 25), part=TRIM)
            draw_wheel(canvas, self.rim, centre, radius, depth + 4, (TYRE, RIM))

    def _draw_body(self, canvas: Canvas, depth: float) -> Stencil:
        bonnet, roof, end, boot = self.profile
        corners = self._at(
            (0.002, 0.30), (0.006, 0.45), (0.05, 0.55), (bonnet, 0.63), (roof, 0.95), (roof + 0.07, 1.0),
            (end - 0.07, 1.0), (end, 0.96), (boot, 0.66), (0.97, 0.61), (0.998, 0.47), (0.996, 0.28),
            (0.975, 0.16), (0.93, 0.14), (0.80, 0.14), (0.50, 0.14), (0.20, 0.14), (0.07, 0.14), (0.02, 0.17),
        )  # fmt: skip
        body = Stencil.polygon(smooth_outline(corners))
        height = self.length_px * self.height_ratio
        rows = [self.base_px - height * share for share in (1.0, 0.92, 0.70, 0.62, 0.56, 0.44, 0.30, 0.14)]
        sheen = row_shade(body, rows, [1.22, 1.05, 0.95, 1.02, 1.16, 0.90, 0.72, 0.45])
        shade = sheen * (0.25 + 0.75 * rounded_shade(body, 8, 0.6))
        relief = np.clip(rounded_shade(body, 14, 0.0, 1.0), 0, 1) * 12
        canvas.paint(body, texture(self.appearance), part=BODY, depth=depth - 6 + relief, shade=shade)
        gloss = Stencil.polygon(self._at((0.06, 0.565), (0.95, 0.60), (0.95, 0.575), (0.06, 0.535)))
        canvas.paint(gloss.blurred(2.5).scaled(0.34).within(body), (255, 255, 255))
        return body

    def _draw_windows(self, canvas: Canvas, body: Stencil) -> None:
        bonnet, roof, end, boot = self.profile
        pillar = (roof + end) / 2 + 0.01
        panes = (
            ((bonnet + 0.035, 0.665), (roof + 0.025, 0.915), (pillar - 0.012, 0.935), (pillar - 0.012, 0.665)),
            ((pillar + 0.012, 0.665), (pillar + 0.012, 0.935), (end - 0.02, 0.915), (boot - 0.03, 0.675)),
        )
        for pane in panes:
            glass = Stencil.polygon(self._at(*pane)).within(body)
            rows = [float(glass.top), float(glass.top + glass.alpha.shape[0])]
            canvas.paint(glass, (104, 130, 152), part=GLASS, shade=row_shade(glass, rows, [1.15, 0.42]))
            start, top = pane[0][0] + 0.05, pane[1][1]
            glint = self._at((start, 0.66), (start + 0.05, top), (start + 0.085, top), (start + 0.035, 0.66))
            canvas.paint(Stencil.polygon(glint).blurred(1.5).within(glass).scaled(0.3), (238, 244, 248))

    def _draw_details(self, canvas: Canvas, body: Stencil) -> None:
        bonnet, roof, end, boot = self.profile
        ink: Rgb = darker(self.appearance.rgb, 0.42)
        pillar = (roof + end) / 2 + 0.01
        for share in (bonnet + 0.03, pillar, boot - 0.035):
            canvas.line(self._at((share, 0.64), (share + 0.004, 0.2)), ink, 2, 0.8)
        for share in (pillar - 0.075, boot - 0.12):
            canvas.line(self._at((share, 0.555), (share + 0.045, 0.56)), ink, 4, 0.9)
        sill = Stencil.polygon(self._at((0.0, 0.23), (1.0, 0.23), (1.0, 0.1), (0.0, 0.1))).within(body)
        canvas.paint(sill, (40, 40, 44), part=TRIM)
        lamp = Stencil.polygon(self._at((0.004, 0.47), (0.012, 0.535), (0.075, 0.555), (0.06, 0.465))).within(body)
        canvas.paint(lamp, (252, 246, 220), part=TRIM)
        tail = Stencil.polygon(self._at((0.997, 0.46), (0.985, 0.59), (0.945, 0.585), (0.95, 0.47))).within(body)
        canvas.paint(tail, (186, 26, 26), part=TRIM)
        mirror = self._at((bonnet + 0.06, 0.70))[0]
        canvas.paint(Stencil.ellipse(mirror, 0.02 * self.length_px, 0.013 * self.length_px), ink)
