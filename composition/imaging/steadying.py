"""Against flicker: blend -> **steady** -> encode, for frames of a clip, inside the mask alone."""

from __future__ import annotations

import numpy as np

from composition.images import Image, Mask
from composition.imaging.flow import Flow, carried

SHARE = 0.7
"""Of the frame before in what is painted now, where the flow is sure."""
NEAR, FAR = 24.0, 72.0
"""Up to the first distance (0..255 in any channel) the frame before counts fully, from the second on not at all:
what differs more has changed."""


def steadied(painted: Image, before: Image, flow: Flow, alpha: Mask) -> Image:
    """A painted frame (H, W, 3) with what the painted frame before, carried along, has of the same thing.

    Args:
        painted: the frame.
        before: the one before it, as it has become.
        flow: from this frame to the one before.
        alpha: the weights (H, W) that this frame was blended with: where they are 0 nothing changes.
    """
    was = carried(before, flow).astype(np.float32)
    now = painted.astype(np.float32)
    apart = np.abs(was - now).max(axis=-1)
    alike = np.clip((FAR - apart) / (FAR - NEAR), 0.0, 1.0)
    share = SHARE * flow.sure * alike * (alpha / np.float32(255.0))
    mixed = np.rint(now + share[..., None] * (was - now))
    return np.where(alpha[..., None] > 0, np.clip(mixed, 0, 255), painted).astype(np.uint8)
