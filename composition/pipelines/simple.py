"""The fast path: detect -> mask -> diffuse -> blend, no structure control."""

from __future__ import annotations

from composition.images import Image
from composition.masking.edit_mask import EditMask
from composition.pipelines.context import EditContext
from composition.pipelines.locating import find_target, mask_of
from composition.pipelines.painting import Structure, paint


async def locate(ctx: EditContext) -> EditMask:
    """Find what to repaint."""
    with ctx.journal.stage("detect"):
        found = await find_target(ctx)
    return await mask_of(ctx, found)


async def run(ctx: EditContext) -> tuple[EditMask, tuple[Image, ...]]:
    """Find it and repaint it, once for every seed."""
    mask = await locate(ctx)
    return mask, await paint(ctx, mask, Structure())
