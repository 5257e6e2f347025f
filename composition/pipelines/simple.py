"""The fast path: detect -> mask -> diffuse -> blend, no structure control."""

from __future__ import annotations

from composition.masking.region import Region, detect, make_region
from composition.pipelines.context import EditContext
from composition.pipelines.painting import Painted, Structure, paint


async def locate(ctx: EditContext) -> Region:
    """Find what to repaint."""
    with ctx.journal.stage("detect"):
        found = await detect(ctx)
    return await make_region(ctx, found, ())


async def run(ctx: EditContext) -> tuple[Region, Painted]:
    """Find it and repaint it."""
    region = await locate(ctx)
    return region, await paint(ctx, region, Structure())
