"""The fast path: detect -> mask -> diffuse -> blend, no structure control."""

from __future__ import annotations

from composition.masking.edit_mask import EditMask
from composition.pipelines.context import EditContext
from composition.pipelines.locating import Located, Structure, find_target, mask_of


async def locate(ctx: EditContext) -> EditMask:
    """Find what to repaint."""
    with ctx.journal.stage("detect"):
        found = await find_target(ctx)
    return await mask_of(ctx, found)


async def prepare(ctx: EditContext) -> Located:
    """Find it; there is no structure to preserve."""
    return Located.at(ctx, await locate(ctx))


async def structure_of(ctx: EditContext) -> Structure:
    """What is to be preserved where the mask is known already: nothing."""
    return Structure()
