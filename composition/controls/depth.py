"""Depth: things keep their shape in space (lllyasviel/control_v11f1p_sd15_depth)."""

from __future__ import annotations

import numpy as np

from composition.controls.control import Control, ControlSource, Need
from composition.images import Image


def draw(source: ControlSource) -> Image:
    """The depth map as a grey image."""
    assert source.depth is not None
    return np.repeat(source.depth[:, :, None], 3, axis=2)


DEPTH = Control(name="depth", alone=0.8, together=0.5, needs=frozenset({Need.DEPTH}), draw=draw)
"""Weights of SPEC.md 5.3."""
