"""diffuse -> **matte** -> blend: what an edit in a box really covers; the rest of the box stays as photographed.

A thing is replaced in its box, because another one may have another shape. What the model painted in the room around is
a copy of what was there, only softer. Once it is painted its shape can be seen: only what the old thing or the new one
covers is laid over the photograph.
"""

from __future__ import annotations

import numpy as np

from composition.images import Image, Mask
from composition.imaging import masks
from composition.masking import grow
from composition.masking.edit_mask import EditMask
from composition.masking.region import silhouettes
from composition.pipelines.context import EditContext

LEAST_SHARE = 0.1
"""Of the box; a smaller silhouette is not that of a thing that fills its box."""


def fills_boxes(mask: EditMask) -> bool:
    """Whether an unrefined mask is made of boxes around detected things, so that it holds more than these."""
    return bool(mask.detections) and not mask.exact


async def silhouette(ctx: EditContext, mask: EditMask, image: Image) -> Mask | None:
    """What the things in the mask's boxes cover in an image (H, W, 3), as (H, W; 0/255); None: that cannot be said."""
    found = await silhouettes(image, mask.detections, segmenter=ctx.models.segmenter, journal=ctx.journal)
    inside = np.minimum(found, mask.thing)
    return inside if np.count_nonzero(inside) >= LEAST_SHARE * np.count_nonzero(mask.thing) else None


def matte(ctx: EditContext, mask: EditMask, old: Mask, new: Mask) -> Mask:
    """The blend's weights (H, W; 0..255) around both silhouettes, nowhere above the mask's own."""
    return np.minimum(mask.alpha, grow.along_outline(masks.union([old, new]), ctx.plan))
