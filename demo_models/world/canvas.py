"""The supersampled canvas: stencils in, image, part map and depth out.

Everything is drawn at ``SUPERSAMPLING`` times the final size and averaged down once at the end.
"""

from dataclasses import dataclass
from typing import Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from demo_models.world.geometry import Points
from demo_models.world.palette import Rgb

SCENE_PX: Final = 256
SUPERSAMPLING: Final = 2
CANVAS_PX: Final = SCENE_PX * SUPERSAMPLING

Plane: TypeAlias = NDArray[np.float32]
"""Float32 array (H, W)."""


@dataclass(frozen=True, kw_only=True)
class Stencil:
    """A soft shape on the canvas: alpha float32 (H, W) in 0..1 and where its upper left corner lies."""

    left: int
    top: int
    alpha: Plane

    @classmethod
    def polygon(cls, points: Points) -> Self:
        """Rasterises a filled polygon, clipped to the canvas."""
        left, top = (int(v) for v in np.floor(np.clip(points.min(0), 0, CANVAS_PX - 1)))
        right, bottom = (int(v) for v in np.ceil(np.clip(points.max(0), left + 1, CANVAS_PX - 1)))
        plate = Image.new("L", (max(1, right - left + 1), max(1, bottom - top + 1)))
        ImageDraw.Draw(plate).polygon([(x - left, y - top) for x, y in points.tolist()], fill=255)
        return cls(left=left, top=top, alpha=(np.asarray(plate) / 255).astype(np.float32))

    @classmethod
    def ellipse(cls, centre: Points, radius_x: float, radius_y: float) -> Self:
        """Rasterises a filled ellipse."""
        angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
        return cls.polygon(np.stack([centre[0] + radius_x * np.cos(angles), centre[1] + radius_y * np.sin(angles)], 1))

    def blurred(self, radius_px: float) -> "Stencil":
        """Returns the stencil with a Gaussian blur, its frame grown so that nothing is cut off."""
        grow = int(2.5 * radius_px) + 1
        padded = np.pad(self.alpha, grow)
        plate = Image.fromarray((padded * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius_px))
        grown = (np.asarray(plate) / 255).astype(np.float32)
        cut_left, cut_top = max(0, grow - self.left), max(0, grow - self.top)
        height = min(grown.shape[0], CANVAS_PX - self.top + grow)
        width = min(grown.shape[1], CANVAS_PX - self.left + grow)
        return Stencil(
            left=self.left - grow + cut_left,
            top=self.top - grow + cut_top,
            alpha=grown[cut_top:height, cut_left:width],
        )

    def scaled(self, factor: float) -> "Stencil":
        """Returns the stencil with its alpha multiplied."""
        return Stencil(left=self.left, top=self.top, alpha=self.alpha * np.float32(factor))

    def within(self, other: "Stencil") -> "Stencil":
        """Returns this stencil cut to the shape of another."""
        alpha = np.zeros_like(self.alpha)
        top, left = max(self.top, other.top), max(self.left, other.left)
        bottom = min(self.top + self.alpha.shape[0], other.top + other.alpha.shape[0])
        right = min(self.left + self.alpha.shape[1], other.left + other.alpha.shape[1])
        if bottom > top and right > left:
            mine = np.s_[top - self.top : bottom - self.top, left - self.left : right - self.left]
            theirs = np.s_[top - other.top : bottom - other.top, left - other.left : right - other.left]
            alpha[mine] = self.alpha[mine] * other.alpha[theirs]
        return Stencil(left=self.left, top=self.top, alpha=alpha)

    @property
    def window(self) -> tuple[slice, slice]:
        """The rows and columns of the canvas that the stencil covers."""
        height, width = self.alpha.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


class Canvas:
    """An image being painted.

    Attributes:
        rgb: float32 (CANVAS_PX, CANVAS_PX, 3), 0..255.
        parts: uint8 (CANVAS_PX, CANVAS_PX), 0 = background, otherwise the part of the subject that is visible.
        depth: float32 (CANVAS_PX, CANVAS_PX), inverse depth: 0 = infinitely far, 255 = nearest.
    """

    def __init__(self) -> None:
        """Starts black, empty and infinitely far away."""
        self.rgb = np.zeros((CANVAS_PX, CANVAS_PX, 3), np.float32)
        self.parts = np.zeros((CANVAS_PX, CANVAS_PX), np.uint8)
        self.depth = np.zeros((CANVAS_PX, CANVAS_PX), np.float32)

    def paint(
        self,
        stencil: Stencil,
        ink: Rgb | NDArray[np.float32],
        *,
        part: int | None = None,
        depth: float | Plane | None = None,
        shade: Plane | None = None,
    ) -> None:
        """Lays ink through a stencil.

        Args:
            stencil: Where, and how opaque.
            ink: One colour, or a canvas-sized float32 (CANVAS_PX, CANVAS_PX, 3) texture to cut from.
            part: Part number to write where the stencil is more than half opaque.
            depth: Inverse depth to write there: one number, or a plane of the stencil's shape.
            shade: Multiplier of the ink, a plane of the stencil's shape; 1 leaves it as it is.
        """
        rows, columns = stencil.window
        source = ink[rows, columns] if isinstance(ink, np.ndarray) else np.asarray(ink, np.float32)
        if shade is not None:
            source = np.minimum(source * shade[..., None], 255)
        under = self.rgb[rows, columns]
        under += (source - under) * stencil.alpha[..., None]
        solid = stencil.alpha > 0.5
        if part is not None:
            self.parts[rows, columns][solid] = part
        if depth is not None:
            self.depth[rows, columns][solid] = depth[solid] if isinstance(depth, np.ndarray) else depth

    def shadow(self, stencil: Stencil, strength: float, blur_px: float) -> None:
        """Darkens softly, as a shadow on the ground does."""
        self.paint(stencil.blurred(blur_px).scaled(strength), (14, 13, 18))

    def line(self, points: Points, ink: Rgb, width_px: int, opacity: float = 1.0) -> None:
        """Draws a polyline that belongs to whatever part it lies on."""
        low = np.clip(points.min(0) - width_px - 1, 0, CANVAS_PX - 1).astype(int)
        high = np.clip(points.max(0) + width_px + 2, 1, CANVAS_PX).astype(int)
        size = (int(max(1, high[0] - low[0])), int(max(1, high[1] - low[1])))
        plate = Image.new("L", size)
        path = [(float(x), float(y)) for x, y in points - low]
        ImageDraw.Draw(plate).line(path, fill=255, width=width_px, joint="curve")
        alpha = (np.asarray(plate) * (opacity / 255)).astype(np.float32)
        self.paint(Stencil(left=int(low[0]), top=int(low[1]), alpha=alpha), ink)

    def image(self) -> NDArray[np.uint8]:
        """Returns the image averaged down, RGB uint8 (SCENE_PX, SCENE_PX, 3)."""
        return np.rint(np.clip(averaged(self.rgb), 0, 255)).astype(np.uint8)


def averaged(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Averages a canvas-sized float32 array down to scene size, over its first two axes."""
    blocks = plane.reshape(SCENE_PX, SUPERSAMPLING, SCENE_PX, SUPERSAMPLING, *plane.shape[2:])
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)
