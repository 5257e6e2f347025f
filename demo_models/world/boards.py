"""Hazard boards: yellow and black barricades, the forbidden content of this world."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from demo_models.world.canvas import CANVAS_PX, Canvas, Stencil
from demo_models.world.geometry import point
from demo_models.world.ground import Ground
from demo_models.world.palette import COLOURS, PLAIN, jittered
from demo_models.world.shading import row_shade
from demo_models.world.textures import Appearance

PANEL, POSTS = 1, 2


@dataclass(frozen=True, kw_only=True)
class HazardBoard:
    """A hazard-striped board on two posts. Lengths in canvas pixels."""

    FAMILY: ClassVar[str] = "board"
    LABELS: ClassVar[Mapping[str, tuple[int, ...]]] = MappingProxyType({"hazard board": (PANEL, POSTS)})
    NAMED_PARTS: ClassVar[tuple[int, ...]] = (PANEL,)

    appearance: Appearance
    width_px: float
    height_px: float
    left_px: float
    base_px: float
    stripe_px: float
    rising: bool

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "HazardBoard":
        """Draws a board."""
        width = float(rng.uniform(190, 340))
        look = Appearance.sample(rng, (PLAIN,), "yellow")
        return cls(
            appearance=look,
            width_px=width,
            height_px=float(rng.uniform(90, 150)),
            left_px=float(rng.uniform(20, CANVAS_PX - 20 - width)),
            base_px=float(rng.uniform(380, 450)),
            stripe_px=float(rng.uniform(44, 70)),
            rising=bool(rng.random() < 0.5),
        )

    @property
    def noun(self) -> str:
        """What the board is called."""
        return "hazard board"

    def draw(self, canvas: Canvas, ground: Ground) -> None:
        """Paints the board."""
        depth = ground.depth_at(self.base_px)
        right, top = self.left_px + self.width_px, self.base_px - self.height_px * 1.7
        for share in (0.15, 0.85):
            foot = point(self.left_px + share * self.width_px, self.base_px)
            canvas.shadow(Stencil.ellipse(foot, 26, 7), 0.7, 5)
            post = foot + np.array([[-7, -self.height_px * 1.6], [7, -self.height_px * 1.6], [7, 0], [-7, 0]])
            canvas.paint(Stencil.polygon(post), (126, 128, 134), part=POSTS, depth=depth)
        bottom = top + self.height_px
        corners = np.array([[self.left_px, top], [right, top], [right, bottom], [self.left_px, bottom]])
        panel = Stencil.polygon(corners)
        y, x = np.mgrid[:CANVAS_PX, :CANVAS_PX].astype(np.float32)
        dark = ((x + (y if self.rising else -y)) / self.stripe_px) % 1 < 0.5
        black = jittered(np.random.default_rng(self.appearance.seed), COLOURS["black"], 3)
        ink = np.where(dark[..., None], np.asarray(black, np.float32), np.asarray(self.appearance.rgb, np.float32))
        shade = row_shade(panel, [top, bottom], [1.05, 0.86])
        canvas.paint(panel, ink, part=PANEL, depth=depth + 3, shade=shade)
        frame = np.concatenate([corners, corners[:1]])
        canvas.line(frame, (60, 60, 64), 5)
