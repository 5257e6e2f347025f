"""Canny: edges stay where they are (lllyasviel/control_v11p_sd15_canny)."""

from __future__ import annotations

import cv2
import numpy as np

from composition.controls.control import Control, ControlSource
from composition.images import Image

LOW_THRESHOLD, HIGH_THRESHOLD = 100, 200
"""Of the gradient, as in the ControlNet's model card."""


def draw(source: ControlSource) -> Image:
    """The edges of the photo's brightness in white on black."""
    grey = cv2.cvtColor(source.image, cv2.COLOR_RGB2GRAY)
    edges = cv2.Canny(grey, LOW_THRESHOLD, HIGH_THRESHOLD)
    return np.repeat(edges[:, :, None], 3, axis=2)


CANNY = Control(name="canny", alone=0.8, together=0.5, draw=draw)
"""Those of depth, which holds a shape in the same way; at 1 the edges of the old texture would be kept as well."""
