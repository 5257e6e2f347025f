"""Light: how a flat stencil is made to look round. The light comes from the upper left."""

import numpy as np
from PIL import Image, ImageFilter

from demo_models.world.canvas import Plane, Stencil


def rounded_shade(stencil: Stencil, radius_px: float, darkest: float = 0.55, brightest: float = 1.08) -> Plane:
    """Shades a shape as if it were inflated.

    The blurred stencil is taken as a height field; the slope towards the light brightens, away from it darkens.

    Args:
        stencil: The shape.
        radius_px: How far from the edge the surface still bends.
        darkest: Multiplier at the edge that faces away from the light.
        brightest: Multiplier where the surface faces the light.

    Returns:
        Multipliers, float32 of the stencil's shape.
    """
    pad = int(2 * radius_px) + 1
    plate = Image.fromarray((np.pad(stencil.alpha, pad) * 255).astype(np.uint8))
    height = np.asarray(plate.filter(ImageFilter.GaussianBlur(radius_px)), np.float32)[pad:-pad, pad:-pad] / 255
    if min(height.shape) < 2:
        return np.ones_like(height)
    slope_y, slope_x = np.gradient(height)
    facing = (0.5 * slope_x + 0.85 * slope_y) * radius_px * 2.2
    bend = np.clip((height - 0.45) / 0.5, 0, 1)
    shade = darkest + (1.0 - darkest) * bend + facing * 0.42
    return np.asarray(np.clip(shade, darkest * 0.8, brightest), dtype=np.float32)


def row_shade(stencil: Stencil, rows_px: list[float], values: list[float]) -> Plane:
    """Shades by height: ``values`` at the canvas rows ``rows_px`` (ascending), linear between, constant across.

    Returns:
        Multipliers, float32 of the stencil's shape.
    """
    rows = np.arange(stencil.top, stencil.top + stencil.alpha.shape[0])
    column = np.interp(rows, rows_px, values).astype(np.float32)
    return np.repeat(column[:, None], stencil.alpha.shape[1], axis=1)
