"""Tile: colours and layout stay, detail is made anew (lllyasviel/control_v11f1e_sd15_tile)."""

from __future__ import annotations

from composition.controls.control import Control, ControlSource
from composition.images import Image


def draw(source: ControlSource) -> Image:
    """The photo itself."""
    return source.image


TILE = Control(name="tile", alone=0.6, together=0.4, draw=draw)
"""Below depth's: it holds colours too, and at 1 the region would come back as it was."""
