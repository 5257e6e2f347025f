"""Depth: things keep their shape in space (lllyasviel/control_v11f1p_sd15_depth)."""

from __future__ import annotations

import cv2
import numpy as np

from composition.controls.control import Control, ControlSource, Need
from composition.images import Image

FILL_RADIUS_PX = 5


def draw(source: ControlSource) -> Image:
    """The depth map as a grey image; where something is taken away, the depth around is carried on.

    Black, the farthest, where all of the image is to go.
    """
    assert source.depth is not None
    depth = source.depth
    if source.gone is not None and source.gone.all():
        depth = np.zeros_like(depth)
    elif source.gone is not None:
        depth = np.asarray(cv2.inpaint(depth, source.gone, FILL_RADIUS_PX, cv2.INPAINT_TELEA), np.uint8)
    return np.repeat(depth[:, :, None], 3, axis=2)


DEPTH = Control(name="depth", alone=0.8, together=0.5, needs=frozenset({Need.DEPTH}), draw=draw)
"""Weights of SPEC.md 5.3."""
