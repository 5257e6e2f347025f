"""Where the noise of a frame comes from, so that it goes along with what moves: mask -> **condition** -> diffuse."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from composition.diffusion import OWN_NOISE, NoiseCells
from composition.images import Box
from composition.imaging.flow import Floats, Flow
from composition.imaging.geometry import Fit

STRIDE_PX = 4
"""Places are known for one pixel in so many each way."""
_LEAST_SURE = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class NoiseOrigin:
    """Of a frame's pixels the places in the frame whose noise is carried.

    Attributes:
        places: float32 (H / STRIDE_PX, W / STRIDE_PX, 2), x and y in pixels of that frame; NaN where it is not known.
        crop: what the model saw of that frame; None: all.
    """

    places: Floats
    crop: Box | None

    @classmethod
    def here(cls, size: tuple[int, int], crop: Box | None) -> NoiseOrigin:
        """A frame of (height, width) whose noise is its own."""
        return cls(places=_pixels(size), crop=crop)

    def moved(self, flow: Flow) -> NoiseOrigin:
        """Of the next frame."""
        height, width = flow.sure.shape
        x, y = np.moveaxis(_pixels((height, width)).astype(np.int32), -1, 0)
        before = flow.at[y, x]
        column, row = ((before[..., axis] / STRIDE_PX).astype(np.float32) for axis in (0, 1))
        places = cv2.remap(self.places, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        places[flow.sure[y, x] < _LEAST_SURE] = np.nan
        return NoiseOrigin(places=places, crop=self.crop)

    def cells(self, crop: Box | None, fit: Fit, cell_px: int) -> NoiseCells:
        """Of each latent cell of this frame's canvas the cell of the first one's that it has its noise from.

        Args:
            crop: what the model sees of this frame, as large as it was of the first one.
            fit: of either to the canvas.
            cell_px: pixels of the canvas per cell and side.
        """
        height, width = (side // cell_px for side in fit.model_size)
        y, x = (np.mgrid[:height, :width] + 0.5) * cell_px / fit.scale
        column = np.clip((x + _left(crop)) / STRIDE_PX, 0, self.places.shape[1] - 1).astype(np.int32)
        row = np.clip((y + _top(crop)) / STRIDE_PX, 0, self.places.shape[0] - 1).astype(np.int32)
        # What a place is off the middle of its STRIDE_PX is added again, or a frame that stands still would not.
        places = self.places[row, column]
        off = np.stack([x + _left(crop) - column * STRIDE_PX, y + _top(crop) - row * STRIDE_PX], axis=-1)
        there = (places + off - (_left(self.crop), _top(self.crop))) * fit.scale / cell_px
        shown = (y < fit.size[0]) & (x < fit.size[1])
        known = shown & (there >= 0).all(axis=-1) & (there[..., 0] < width) & (there[..., 1] < height)
        cells = np.full((height, width, 2), OWN_NOISE, np.uint8)
        cells[known] = np.floor(there[known][:, ::-1]).astype(np.uint8)
        return cells


def _pixels(size: tuple[int, int]) -> Floats:
    y, x = np.mgrid[0 : size[0] : STRIDE_PX, 0 : size[1] : STRIDE_PX]
    pixels: npt.NDArray[np.float32] = np.stack([x, y], axis=-1).astype(np.float32)
    return pixels


def _left(crop: Box | None) -> float:
    return 0.0 if crop is None else crop.x0


def _top(crop: Box | None) -> float:
    return 0.0 if crop is None else crop.y0
